with one as (
  select r.*, {key} as key from {roles} r where $1 is null or r.rolname in ($1, $1 || '_a', $1 || '_b')
), acl as (
  select 'database' as class, array[d.datname::text] as path, d.datdba as owner, a.*
    from pg_database d, aclexplode(d.datacl) a
  union all select 'tablespace', array[t.spcname::text], t.spcowner, a.*
    from pg_tablespace t, aclexplode(t.spcacl) a
  {more}
)
select json_build_object(
  'now', (extract(epoch from clock_timestamp()) * 1000000)::bigint,
  'roles', coalesce((select json_agg(json_build_object(
    'oid', r.oid::text,
    'name', r.rolname,
    'login', r.rolcanlogin,
    'inherit', r.rolinherit,
    'limit', r.rolconnlimit,
    'until', case when r.rolvaliduntil = '-infinity' then 0
                  when isfinite(r.rolvaliduntil)
                  then (extract(epoch from r.rolvaliduntil) * 1000000)::bigint end,
    'attributes', array_remove(array[
       case when r.rolsuper then 'superuser' end,
       case when r.rolcreaterole then 'createrole' end,
       case when r.rolcreatedb then 'createdb' end,
       case when r.rolreplication then 'replication' end,
       case when r.rolbypassrls then 'bypassrls' end], null),
    'key', r.key,
    'comment', shobj_description(r.oid, 'pg_authid')
  )) from one r), '[]'),
  'members', coalesce((select json_agg(json_build_object(
    'of', r.oid::text, 'group', g.rolname, 'admin', m.admin_option, 'by', b.rolname
  )) from one r join pg_auth_members m on m.member = r.oid
     join pg_roles g on g.oid = m.roleid left join pg_roles b on b.oid = m.grantor), '[]'),
  'grants', coalesce((select json_agg(json_build_object(
    'to', acl.grantee::text, 'class', acl.class, 'path', acl.path, 'privilege', acl.privilege_type,
    'passed_on', acl.is_grantable, 'by', b.rolname, 'by_owner', acl.grantor = acl.owner
  )) from acl join one r on r.oid = acl.grantee join pg_roles b on b.oid = acl.grantor
     where acl.grantee <> acl.owner), '[]'),
  'owned', coalesce((select json_agg(json_build_object('by', s.owner::text, 'path', s.path)) from (
      select d.datdba as owner, array['database', d.datname::text] as path from pg_database d
      union all select t.spcowner, array['tablespace', t.spcname::text] from pg_tablespace t
    ) s join one r on r.oid = s.owner where s.owner <> 10), '[]'),
  'places', coalesce((select json_agg(json_build_object('of', p.oid::text, 'database', p.datname)) from (
      select distinct r.oid, d.datname from pg_shdepend s
        join pg_database d on d.oid = s.dbid join one r on r.oid = s.refobjid
       where s.refclassid = 'pg_authid'::regclass and s.deptype in ('a', 'o')
    ) p), '[]')
)::text
