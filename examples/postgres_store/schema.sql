create table if not exists service_token (
    id          uuid     primary key,
    version     bigint   not null,  -- a fresh random number for each write
    record      bytea    not null,  -- the whole record; never parse it in SQL
    format      smallint not null,
    owner       bytea    not null,
    created_at  bigint   not null,  -- microseconds since 1970
    last_used   bigint              -- microseconds since 1970; null means never
);

create index if not exists service_token_by_owner on service_token (owner, id);

-- The rest is for the change feed. Leave it out if your nodes poll. The triggers run once for each statement,
-- send at most 200 ids in a notification, and ignore touches, which keep the version. Inserts send nothing.
create or replace function service_token_changed() returns trigger language plpgsql as $$
begin
    if tg_op = 'UPDATE' then
        perform pg_notify('service_token_' || tg_relid, string_agg(id::text, ','))
           from (select id, (row_number() over () - 1) / 200 as part
                   from before join after using (id) where before.version <> after.version) as changed
          group by part;
    else
        perform pg_notify('service_token_' || tg_relid, string_agg(id::text, ','))
           from (select id, (row_number() over () - 1) / 200 as part from before) as removed
          group by part;
    end if;
    return null;
end $$;

create or replace trigger service_token_updated after update on service_token
    referencing old table as before new table as after
    for each statement execute function service_token_changed();

create or replace trigger service_token_removed after delete on service_token
    referencing old table as before
    for each statement execute function service_token_changed();
