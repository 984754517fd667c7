-- More of the profile: what lists are filtered by has columns, and all of it that has none of the first ones stands in `details`, an encoded ProfileDetails
-- in clear. Erasing a customer wipes both.
alter table customer_list add column details bytea not null default '';
alter table customer_list add column birth_date date;
alter table customer_list add column gender smallint;
alter table customer_list add column income_band text;
alter table customer_list add column sector text;
alter table customer_list add column company_size smallint;
alter table customer_list add column region_code text;
