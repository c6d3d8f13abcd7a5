-- What machines share of a sending: leases, what is to be sent and with what, why it is stopped.

-- join --
-- Waits while somebody plans this issue, 30 seconds at most: whoever holds it alone would not expect us.
select pg_advisory_lock_shared(%s);

-- begin_lease --
-- No row: the schema was upgraded meanwhile, and this program cannot use it.
insert into lease (worker, issue, rehearsal, connections, until)
select %(worker)s, %(issue)s, %(rehearsal)s, %(connections)s, clock_timestamp() + make_interval(secs => %(term)s)
from ledger where readable_by <= %(program)s
returning id;

-- renew_lease --
-- No row: it was ended, and what it had claimed is in doubt.
update lease l set until = clock_timestamp() + make_interval(secs => %(term)s)
where l.id = %(lease)s
returning (select s.stopped from sending s where s.issue = l.issue and s.rehearsal = l.rehearsal);

-- strays --
-- Claimed in a transaction whose end we did not hear of, so by nobody on any wire.
update delivery
set state = case when settled_at is null then 'waiting' else 'deferred' end, attempts = attempts - 1, lease = null,
    request = null
where issue = %(issue)s and rehearsal = %(rehearsal)s and lease = %(lease)s and state = 'sending'
  and id <> all(%(known)s);

-- end_lease --
delete from lease where id = %s;

-- end_dead_leases --
-- A server that has just been started gives all leases another term: nobody could renew them while it was away.
delete from lease
where until < clock_timestamp() and pg_postmaster_start_time() < clock_timestamp() - make_interval(secs => %s);

-- recover_leased --
update delivery d set state = 'unknown', reply = 'the worker ended before the server''s answer was read'
where d.state = 'sending' and d.lease is not null and (d.issue, d.rehearsal) in (select issue, rehearsal from sending)
  and not exists (select 1 from lease l where l.id = d.lease)
returning d.issue, d.rehearsal;

-- ask_about --
-- What a living worker asks about is its own.
update delivery d set lease = %(lease)s
where d.id = any(%(ids)s) and d.state = 'unknown'
  and not exists (select 1 from lease l where l.id = d.lease and l.id <> %(lease)s and l.until > clock_timestamp())
returning d.id;

-- hand_over --
insert into sending (issue, rehearsal, edition, content, transport, signer)
values (%(issue)s, %(rehearsal)s, %(edition)s, %(content)s, %(transport)s, %(signer)s)
on conflict (issue, rehearsal) do update
set edition = excluded.edition, content = excluded.content, transport = excluded.transport, signer = excluded.signer,
    stopped = '', not_before = null;

-- add_content --
insert into content (sha256, data) values (%s, %s) on conflict do nothing;

-- forget_contents --
delete from content c where not exists (select 1 from sending s where s.content = c.sha256);

-- content --
select data from content where sha256 = %s;

-- orders --
select issue, rehearsal, edition, content, transport, signer, stopped, coalesce(extract(epoch from not_before), 0)::float
from sending where issue = %s and rehearsal = %s;

-- stop --
update sending set stopped = %(reason)s where issue = %(issue)s and rehearsal = %(rehearsal)s and stopped = '';

-- wait_until --
update sending set not_before = to_timestamp(%(second)s)
where issue = %(issue)s and rehearsal = %(rehearsal)s;

-- open_sendings --
-- Those that somebody could go on with now, and with how many people; more than that are not counted.
select s.issue, s.rehearsal, (
    select count(*) from (
        select 1 from delivery d
        where d.issue = s.issue and d.rehearsal = s.rehearsal and d.state in ('waiting', 'deferred')
          and d.due <= extract(epoch from clock_timestamp()) limit %s
    ) as due)
from sending s
where s.stopped = '' and (s.not_before is null or s.not_before <= clock_timestamp());

-- workers --
select worker, issue, connections, extract(epoch from until - clock_timestamp())::float from lease order by id;

-- current --
-- Of whom somebody is left, and the last one. The others have nothing new to say, and counting takes a second a million.
select distinct e.issue, e.rehearsal from edition e
where not e.rehearsal and (
    e.last = (select max(last) from edition where not rehearsal)
    or exists (select 1 from delivery d where d.issue = e.issue and not d.rehearsal and d.state in ('waiting', 'deferred'))
    or exists (select 1 from delivery d where d.issue = e.issue and not d.rehearsal and d.state = 'sending'))
order by e.issue;

-- lag --
-- Seconds since the one that has waited longest might have gone; 0 where nobody waits.
select coalesce(max(extract(epoch from clock_timestamp()) - greatest(d.due, d.planned_at)), 0)::float
from (select distinct issue, rehearsal from sending where stopped = '') s
cross join lateral (
    select due, planned_at from delivery d
    where d.issue = s.issue and d.rehearsal = s.rehearsal and d.state in ('waiting', 'deferred')
      and d.due <= extract(epoch from clock_timestamp()) order by d.due, d.id limit 1
) d;
