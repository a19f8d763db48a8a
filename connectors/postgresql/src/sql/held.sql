with one as (
  select oid, rolname from pg_roles where ($1 is null or rolname in ($1, $1 || '_a', $1 || '_b')) and oid <> 10
), acl as (
  select case c.relkind when 'S' then 'sequence' else 'table' end as class,
         array[n.nspname::text, c.relname::text] as path, c.relowner as owner, a.*
    from pg_class c join pg_namespace n on n.oid = c.relnamespace, aclexplode(c.relacl) a
  union all select 'column', array[n.nspname::text, c.relname::text, t.attname::text], c.relowner, a.*
    from pg_attribute t join pg_class c on c.oid = t.attrelid join pg_namespace n on n.oid = c.relnamespace,
         aclexplode(t.attacl) a where not t.attisdropped
  union all select 'schema', array[n.nspname::text], n.nspowner, a.*
    from pg_namespace n, aclexplode(n.nspacl) a
  union all select case p.prokind when 'p' then 'procedure' else 'function' end,
         array[n.nspname::text, p.proname || '(' || coalesce((
           select string_agg(format_type(t.oid, null), ', ' order by t.at)
             from unnest(p.proargtypes) with ordinality t(oid, at)), '') || ')'], p.proowner, a.*
    from pg_proc p join pg_namespace n on n.oid = p.pronamespace, aclexplode(p.proacl) a
  union all select 'type', array[n.nspname::text, t.typname::text], t.typowner, a.*
    from pg_type t join pg_namespace n on n.oid = t.typnamespace, aclexplode(t.typacl) a
  union all select 'language', array[l.lanname::text], l.lanowner, a.*
    from pg_language l, aclexplode(l.lanacl) a
  union all select 'server', array[f.srvname::text], f.srvowner, a.*
    from pg_foreign_server f, aclexplode(f.srvacl) a
  union all select 'wrapper', array[f.fdwname::text], f.fdwowner, a.*
    from pg_foreign_data_wrapper f, aclexplode(f.fdwacl) a
  union all select 'largeobject', array[l.oid::text], l.lomowner, a.*
    from pg_largeobject_metadata l, aclexplode(l.lomacl) a
  union all select 'default', array[o.rolname::text]
         || case when n.nspname is null then '{}'::text[] else array[n.nspname::text] end
         || case d.defaclobjtype when 'r' then 'tables' when 'S' then 'sequences' when 'f' then 'functions'
              when 'T' then 'types' when 'n' then 'schemas' else d.defaclobjtype::text end, d.defaclrole, a.*
    from pg_default_acl d join pg_roles o on o.oid = d.defaclrole
         left join pg_namespace n on n.oid = d.defaclnamespace, aclexplode(d.defaclacl) a
)
select json_build_object(
  'grants', coalesce((select json_agg(json_build_object(
    'to', acl.grantee::text, 'class', acl.class, 'path', array[current_database()::text] || acl.path,
    'privilege', acl.privilege_type, 'passed_on', acl.is_grantable, 'by', b.rolname,
    'by_owner', acl.grantor = acl.owner
  )) from acl join one r on r.oid = acl.grantee join pg_roles b on b.oid = acl.grantor
     where acl.grantee <> acl.owner), '[]'),
  'owned', coalesce((select json_agg(json_build_object(
    'by', s.refobjid::text, 'path', array[current_database()::text, i.type, i.identity]
  )) from pg_shdepend s join one r on r.oid = s.refobjid,
     lateral pg_identify_object(s.classid, s.objid, s.objsubid) i
     where s.refclassid = 'pg_authid'::regclass and s.deptype = 'o' and i.type <> 'default acl'
       and s.dbid = (select oid from pg_database where datname = current_database())), '[]')
)::text
