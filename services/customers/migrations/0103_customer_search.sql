-- Finding customers by name and by what they have in common. All three tables follow from the log; what they hold of somebody is personal and is
-- wiped in one place (read_model/search.rs, wipe).

-- The name begun at each of its words in turn, folded: `ayse yilmaz ` and `yilmaz ayse `. Whatever word of a name is looked for begins a row.
create table customer_name (
    partition smallint not null,
    tenant text not null,
    customer_id uuid not null,
    rotation text collate "C" not null,
    primary key (partition, tenant, customer_id, rotation)
);

-- In the order of the alphabet, which is the order of the answer to a search: its first page ends where it is full.
create index customer_name_order on customer_name (tenant, rotation, customer_id) include (partition);

-- The distinct words of the names of each partition, by parts that a typing error leaves whole. Of distinct words there are far fewer than
-- customers, so that this stays small. Kept for each partition, and not for a tenant, because a partition has one writer: whether somebody
-- still has a word is then known for certain.
create table name_segment (
    partition smallint not null,
    tenant text not null,
    word text collate "C" not null,
    segment text collate "C" not null,
    primary key (partition, tenant, word, segment)
);

create index name_segment_words on name_segment (tenant, segment, word);

-- What customers who may be one and the same have in common: the sound of the name, and keyed digests of identifiers compared loosely.
create table customer_block (
    partition smallint not null,
    tenant text not null,
    customer_id uuid not null,
    block text collate "C" not null,
    primary key (partition, tenant, customer_id, block)
);

create index customer_block_members on customer_block (tenant, block, customer_id) include (partition);

-- Filters that name few of many customers, each in the order of the list.
create index customer_list_stage on customer_list (tenant, stage, registered_at, customer_id);
create index customer_list_country on customer_list (tenant, country_code, registered_at, customer_id);
create index customer_list_owner on customer_list (tenant, owner_id, registered_at, customer_id) where owner_id is not null;
create index customer_list_team on customer_list (tenant, team, registered_at, customer_id) where team is not null;
-- Whoever has an owner or a team at all, which may be few.
create index customer_list_owned on customer_list (tenant, registered_at, customer_id) where owner_id is not null;
create index customer_list_served on customer_list (tenant, registered_at, customer_id) where team is not null;

-- The other order in which a list can be had.
create index customer_list_stage_since on customer_list (tenant, stage_since, customer_id);
