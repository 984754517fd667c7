-- What was destroyed here of a subject who was erased: the data key, and the rows of each table that held something of the subject. It is the
-- receipt, so it is written in the transaction that destroys, kept for ever, and never changed. Holds nothing personal.
create table wiped (
    partition smallint not null,
    tenant text not null,
    subject uuid not null,
    -- `data_key`, or the name of a table.
    what text not null,
    rows bigint not null,
    wiped_at timestamptz not null,
    primary key (partition, tenant, subject, what)
);
