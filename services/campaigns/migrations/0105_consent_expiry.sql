-- When what was agreed to ends by itself; null where it does not.
alter table consent add column expires_at timestamptz;
