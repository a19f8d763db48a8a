select json_build_object(
  'system', (select system_identifier::text from pg_control_system()),
  'name', r.rolname,
  'oid', r.oid::text,
  'super', r.rolsuper,
  'createrole', r.rolcreaterole,
  'passwords', has_table_privilege('pg_authid', 'select'),
  'sessions', r.rolsuper or (pg_has_role('pg_read_all_stats', 'usage') and pg_has_role('pg_signal_backend', 'usage')),
  'version', current_setting('server_version_num')::int,
  'now', (extract(epoch from clock_timestamp()) * 1000000)::bigint
)::text
from pg_roles r where r.rolname = current_user
