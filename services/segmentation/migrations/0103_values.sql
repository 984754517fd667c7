-- Fits, from this service's own log; fit is the encoded Fit. scored tells that every customer has got the scores: until then a
-- fit is not the newest, and whoever finds it goes on with the scoring.
create table fit (
    partition smallint not null,
    tenant text not null,
    fit_id uuid not null,
    calibration_end timestamptz not null,
    fitted_at timestamptz not null,
    fit bytea not null,
    scored boolean not null default false,
    primary key (partition, tenant, fit_id)
);
create index fit_newest on fit (tenant, calibration_end desc, fitted_at desc) where scored;
create index fit_unscored on fit (tenant) where not scored;

-- What each fit said of each customer. Moves in the transaction that appends CustomerScored; can be rebuilt from the log.
create table score (
    partition smallint not null,
    tenant text not null,
    fit_id uuid not null,
    customer_id uuid not null,
    calibration_end timestamptz not null,
    p_alive double precision not null,
    expected_purchases double precision not null,
    expected_value_minor bigint not null,
    monetary_minor bigint not null,
    rfm_r smallint not null,
    rfm_f smallint not null,
    rfm_m smallint not null,
    tier text not null,
    -- What is likely to be lost.
    value_at_risk_minor bigint not null generated always as (round(monetary_minor * (1 - p_alive))::bigint) stored,
    primary key (partition, tenant, fit_id, customer_id)
);
create index score_by_expected_value on score (tenant, fit_id, expected_value_minor desc, customer_id);
create index score_by_value_at_risk on score (tenant, fit_id, value_at_risk_minor desc, customer_id);

-- What a rule sees of the scores: for each calibration end those of the fit that came last. Moves together with score.
create table valuation (
    partition smallint not null,
    tenant text not null,
    customer_id uuid not null,
    fit_id uuid not null,
    calibration_end timestamptz not null,
    p_alive double precision,
    expected_purchases double precision,
    expected_value_minor double precision,
    rfm_r smallint,
    rfm_f smallint,
    rfm_m smallint,
    tier text,
    primary key (partition, tenant, customer_id, calibration_end)
);
create index valuation_by_customer on valuation (tenant, customer_id, calibration_end);
