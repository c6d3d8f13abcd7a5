-- The schema as version 1 made it: ledgers of this shape are about.
pragma application_id = 0x6D61696C;
pragma user_version = 1;                

-- What was planned, one row for each edition that an issue was sent or rehearsed with.
create table if not exists edition (
    id          integer primary key,
    issue       text    not null,
    rehearsal   integer not null,           -- 1: stayed on this machine
    sha256      text    not null,
    transport   text    not null,           -- as people know it
    subject     text    not null,
    text        text    not null,           -- gaps empty; what a diff is made of
    unique (issue, rehearsal, sha256)
);

create table if not exists delivery (
    id          integer primary key,        -- the order of the plan
    issue       text    not null,
    rehearsal   integer not null,
    edition     integer not null references edition (id),
    address     text    not null,           -- canonical; or as written, where the list has no valid one
    fields      text    not null,           -- JSON: what the edition writes of this person
    source      text    not null,           -- file:line
    state       text    not null check (state in ('waiting', 'sending', 'deferred', 'accepted', 'refused', 'suppressed', 'unknown')),
    attempts    integer not null default 0,
    planned_at  integer not null,           -- seconds since 1970
    due         integer not null default 0, -- seconds since 1970; not before
    settled_at  integer,
    reply       text    not null default '',
    provider_id text    not null default '',
    unique (issue, rehearsal, address)      -- nobody twice
);

-- What is left to do: empty once an issue is out, whatever the number of rows.
create index if not exists delivery_open on delivery (issue, rehearsal, due, id) where state in ('waiting', 'deferred');
create index if not exists delivery_claimed on delivery (issue, rehearsal) where state = 'sending';

-- Who must never be mailed. Nothing deletes from here.
create table if not exists suppression (
    address     text primary key,
    reason      text not null,
    since       text not null,
    source      text not null
) without rowid;
