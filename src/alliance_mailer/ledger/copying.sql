-- A ledger copied into another database: what is read is the same in both, row by row and column by column.

-- read_edition --
select id, issue, rehearsal, sha256, transport, subject, text, lists_sha256, last from edition order by id;

-- read_delivery --
select id, issue, rehearsal, edition, address, fields, source, state, attempts, planned_at, due, tried_at, settled_at,
       reply, provider_id, "left", request, place
from delivery order by id;

-- read_request --
select id, key, transport, began, size from request order by id;

-- read_suppression --
select address, reason, since, source from suppression order by address;

-- read_spent --
select transport, domain, second, sum(count) from spent group by transport, domain, second order by second;

-- read_receipt --
select issue, serial from receipt order by issue, serial;

-- write_edition --
edition (id, issue, rehearsal, sha256, transport, subject, text, lists_sha256, last)

-- write_delivery --
delivery (id, issue, rehearsal, edition, address, fields, source, state, attempts, planned_at, due, tried_at, settled_at,
          reply, provider_id, "left", request, place)

-- write_request --
request (id, key, transport, began, size)

-- write_suppression --
suppression (address, reason, since, source)

-- write_spent --
spent (transport, domain, second, count)

-- write_receipt --
receipt (issue, serial)

-- is_empty --
select not exists (select 1 from edition) and not exists (select 1 from delivery) and not exists (select 1 from receipt);

-- sums --
-- What must be the same afterwards.
select issue, rehearsal, state, count(*), sum(attempts) from delivery group by issue, rehearsal, state order by 1, 2, 3;

-- continue_numbers --
select setval(pg_get_serial_sequence('edition', 'id'), coalesce((select max(id) from edition), 0) + 1, false),
       setval(pg_get_serial_sequence('delivery', 'id'), coalesce((select max(id) from delivery), 0) + 1, false),
       setval(pg_get_serial_sequence('request', 'id'), coalesce((select max(id) from request), 0) + 1, false);
