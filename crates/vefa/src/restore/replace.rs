//! One database replaced by a dump, in one transaction. pg_restore writes the dump as SQL, psql runs it between our beginning and our end; where
//! either fails, or we are killed, nobody commits, and the database is as it was.

use std::{path::Path, process::Stdio};

use anyhow::{Context as _, Result, bail};
use service::{Config, ServiceName};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _},
    process::{Child, ChildStdin},
};

use crate::backup::{Erased, Tools};

/// Leaves nothing of what is there. Waits for nobody: who still works on it is not stopped by us.
const EMPTY: &str = r"begin;
set local lock_timeout = '10s';
set local client_min_messages = warning;
do $$
declare
    it record;
begin
    for it in select nspname from pg_namespace
        where nspname not like 'pg\_%' and nspname not in ('information_schema', 'public') loop
        execute format('drop schema %I cascade', it.nspname);
    end loop;
    for it in select relname from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') loop
        execute format('drop table public.%I cascade', it.relname);
    end loop;
end
$$;
";
/// The erasures that the dump does not know, as `event_log::erase` destroys keys; what it notes for the receipt is for the
/// service to note, when the erasure is repeated. The rows follow, as `copy` takes them.
const ERASED: &str = r"
create temporary table erased (partition smallint, tenant text, subject uuid, destroyed_at timestamptz) on commit drop;
copy erased from stdin;
";
const DESTROY: &str = r"\.
insert into public.subject_key (partition, tenant, subject, destroyed_at)
    select partition, tenant, subject, destroyed_at from erased
    on conflict (partition, tenant, subject) do update set wrapped_key = null, destroyed_at = excluded.destroyed_at
        where subject_key.wrapped_key is not null;
delete from public.snapshot s using erased e
    where s.partition = e.partition and s.tenant = e.tenant and s.stream_id = e.subject;
";
const COMMIT: &str = "commit;\n";

/// `history` is what begins the new history, in SQL.
pub(super) async fn replace(
    config: &Config,
    tools: &Tools,
    service: ServiceName,
    dump: &Path,
    erased: &Erased,
    history: &str,
) -> Result<()> {
    let mut psql = tools.command_on("psql", config, service)?;
    psql.args([
        "--no-psqlrc",
        "--quiet",
        "--set=ON_ERROR_STOP=1",
        "--file=-",
    ])
    .stdin(Stdio::piped())
    .stdout(Stdio::null());
    let mut psql = psql.spawn().context("starting psql")?;
    let mut pg_restore = tools.command("pg_restore");
    pg_restore
        .args(["--no-owner", "--file=-"])
        .arg(dump)
        .stdout(Stdio::piped());
    let mut pg_restore = pg_restore.spawn().context("starting pg_restore")?;
    let sql = psql.stdin.take().context("psql takes input")?;
    let (of_psql, of_restore) = (psql.stderr.take(), pg_restore.stderr.take());
    let (fed, psql_said, restore_said) = tokio::join!(
        feed(&mut pg_restore, sql, erased, history),
        everything(of_psql),
        everything(of_restore)
    );
    let (psql_said, restore_said) = (psql_said?, restore_said?);
    let ended = psql.wait().await.context("waiting for psql")?;
    if !ended.success() {
        // Whatever else went wrong follows from it.
        bail!("psql failed ({ended}): {psql_said}");
    }
    fed.with_context(|| format!("pg_restore said: {restore_said}"))
}

/// Gives psql everything, and the commit only when the dump was read to its end.
async fn feed(
    pg_restore: &mut Child,
    mut sql: ChildStdin,
    erased: &Erased,
    history: &str,
) -> Result<()> {
    let feeding = "writing to psql";
    sql.write_all(EMPTY.as_bytes()).await.context(feeding)?;
    let mut script = pg_restore.stdout.take().context("pg_restore has output")?;
    tokio::io::copy(&mut script, &mut sql)
        .await
        .context(feeding)?;
    let ended = pg_restore.wait().await.context("waiting for pg_restore")?;
    if !ended.success() {
        bail!("pg_restore failed ({ended})");
    }
    let rows = erased.copy_rows()?;
    for part in [ERASED, &rows, DESTROY, history, COMMIT] {
        sql.write_all(part.as_bytes()).await.context(feeding)?;
    }
    sql.shutdown().await.context(feeding)
}

async fn everything(from: Option<impl AsyncRead + Unpin>) -> Result<String> {
    let mut said = Vec::new();
    if let Some(mut from) = from {
        from.read_to_end(&mut said)
            .await
            .context("reading what a program says")?;
    }
    Ok(String::from_utf8_lossy(&said).trim().to_owned())
}
