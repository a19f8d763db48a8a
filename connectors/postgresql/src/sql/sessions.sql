with open as (
  select pid, backend_start from pg_stat_activity
   where usesysid = $1::oid and pid <> pg_backend_pid()
     and (backend_start is null
       or (extract(epoch from backend_start) * 1000000 >= coalesce($2::bigint, 0)
       and extract(epoch from backend_start) * 1000000 < coalesce($3::bigint, 9223372036854775807)))
), ended as (
  select case when backend_start is null then null else pg_terminate_backend(pid, 5000) end as gone from open
)
select json_build_object(
  'gone', count(*) filter (where gone), 'left', count(*) filter (where gone is not true)
)::text from ended
