//! Stores of other versions, of other programs, and broken ones.

use super::*;
use protocol::pipeline::Requirement;

#[tokio::test]
async fn a_file_that_is_no_database_is_refused_and_not_changed() {
    let folder = TempDir::new().unwrap();
    for bytes in [
        &b"precious notes, and certainly no database"[..],
        &[b"SQLite format 3\0".as_slice(), &[7; 4000]].concat(),
    ] {
        fs::write(path(&folder), bytes).unwrap();
        let error = Store::open(&path(&folder)).await.unwrap_err();
        assert!(matches!(error, OpenError::Corrupt { .. }), "{error:?}");
        assert_eq!(fs::read(path(&folder)).unwrap(), bytes);
    }
}

#[tokio::test]
async fn a_damaged_store_is_refused_and_not_changed() {
    let (folder, store) = store().await;
    for number in 0..300 {
        store.write(None, vec![add(&number.to_string())]).await.unwrap();
    }
    store.close().await;
    let mut bytes = fs::read(path(&folder)).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..].fill(0x5a);
    fs::write(path(&folder), &bytes).unwrap();
    let error = Store::open(&path(&folder)).await.unwrap_err();
    assert!(matches!(error, OpenError::Corrupt { .. }), "{error:?}");
    assert_eq!(fs::read(path(&folder)).unwrap(), bytes);
}

#[tokio::test]
async fn a_store_of_a_newer_version_is_refused() {
    let (folder, store) = store().await;
    store.close().await;
    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                 VALUES (9999, 'later', 1, x'00', 0)";
    execute(&folder, newer).await;
    let error = Store::open(&path(&folder)).await.unwrap_err();
    assert!(matches!(error, OpenError::Newer { found: 9999, .. }), "{error:?}");
}

#[tokio::test]
async fn a_database_of_another_program_is_refused() {
    let folder = TempDir::new().unwrap();
    execute(&folder, "CREATE TABLE theirs (x)").await;
    let error = Store::open(&path(&folder)).await.unwrap_err();
    assert!(matches!(error, OpenError::Foreign { .. }), "{error:?}");
}

#[tokio::test]
async fn a_directory_that_is_not_there_is_named() {
    let error = Store::open(&PathBuf::from("/nowhere/at/all/store.db")).await.unwrap_err();
    assert!(error.to_string().contains("/nowhere/at/all"), "{error}");
}

const VERSION_1: &str = include_str!("../../tests/version-1.sql");

#[tokio::test]
async fn a_store_of_version_1_is_migrated_and_read_whole() {
    let folder = TempDir::new().unwrap();
    execute(&folder, VERSION_1).await;
    let store = Store::open(&path(&folder)).await.unwrap();
    let (name, row, workflows) = store.newest_pipelines(9, None).await.unwrap().remove(0);
    assert_eq!(
        (name.as_str(), row.number, workflows[0].status),
        ("gh/acme/shop", 1, WorkflowStatus::Running)
    );
    let rows = store.pipeline(row.id).await.unwrap().unwrap();
    assert_eq!((rows.jobs.len(), rows.tasks.len(), rows.steps.len(), rows.logs.len()), (2, 2, 6, 7));
    assert_eq!((rows.artifacts.len(), rows.tests.len()), (1, 1));
    let task = rows.artifacts[0].0;
    let path = &rows.artifacts[0].1.path;
    let job = rows.tasks.iter().find(|row| row.id == task).unwrap().job;
    let found = store.artifact_of_job(job, 0, path).await.unwrap().unwrap();
    assert_eq!((&found.artifact, found.place), (&rows.artifacts[0].1, None), "a content of its own");
    let part = store.pipeline_with(row.id, rows.jobs[1].id).await.unwrap().unwrap();
    assert_eq!((part.workflows.len(), part.jobs.len(), part.tasks.len(), part.steps.len()), (1, 1, 1, 0));
    assert_eq!(part.jobs[0].definition.name, "waits");
    assert_eq!(store.chunks(task, StepNumber(4), 0, 9).await.unwrap().len(), 2);
    let live = store.live_workflow(workflows[0].id).await.unwrap().unwrap();
    assert_eq!(live.jobs[1].definition.requires, [Requirement::success("build")]);
    let cache = store.find_cache((row.project, ""), "v1", false).await.unwrap().unwrap();
    assert!(cache.used_ms > row.created_ms, "as old as it was saved");
    for digest in [&cache.content.digest, &rows.artifacts[0].1.content.digest] {
        assert!(store.is_named(digest).await.unwrap());
    }
    let Source::Archive { digest, .. } = &row.source else { panic!("{:?}", row.source) };
    assert!(store.is_named(digest).await.unwrap());
    assert!(!store.is_named(&content("a").digest).await.unwrap());
    assert!(store.began_ms().await.unwrap() < row.created_ms);
    assert_eq!((store.classes().await.unwrap().len(), store.tokens().await.unwrap().len()), (2, 1));
    assert_eq!(store.instances().await.unwrap().len(), 1);
    let next = store.project("gh/acme/shop").await.unwrap().unwrap();
    assert_eq!((next.1, next.2), (2, 3));
}

#[tokio::test]
async fn a_migration_that_fails_leaves_the_store_as_it_was() {
    let folder = TempDir::new().unwrap();
    execute(&folder, VERSION_1).await;
    execute(&folder, "CREATE TABLE caches_by_use (in_the_way)").await;
    let schema = async || {
        let url = format!("sqlite://{}", path(&folder).display());
        let mut connection = SqliteConnection::connect(&url).await.unwrap();
        let all = "SELECT group_concat(name || coalesce(sql, '')) || (SELECT max(version) FROM _sqlx_migrations) \
                   FROM sqlite_schema";
        let schema: String = sqlx::query_scalar(all).fetch_one(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        schema
    };
    let before = schema().await;
    let error = Store::open(&path(&folder)).await.unwrap_err();
    assert!(matches!(error, OpenError::Refused { .. }), "{error:?}");
    assert_eq!(schema().await, before);
}

/// A store with some pages, and its bytes.
async fn grown() -> (TempDir, Vec<u8>) {
    let (folder, store) = store().await;
    for number in 0..300 {
        store.write(None, vec![add(&number.to_string())]).await.unwrap();
    }
    store.close().await;
    let bytes = fs::read(path(&folder)).unwrap();
    (folder, bytes)
}

#[tokio::test]
async fn a_store_that_lost_or_mixed_up_bytes_is_refused_and_no_byte_of_it_or_beside_it_is_changed() {
    const PAGE: usize = 4096;
    let (folder, whole) = grown().await;
    let inverted = |page: usize| {
        let mut bytes = whole.clone();
        bytes[page * PAGE..(page + 1) * PAGE].iter_mut().for_each(|byte| *byte = !*byte);
        bytes
    };
    let damaged = [
        whole[..whole.len() / 2].to_vec(),
        whole[..whole.len() - PAGE].to_vec(),
        whole[..50].to_vec(),
        [&[0x5a; 100], &whole[100..]].concat(),
        inverted(0),
        inverted(1),
        inverted(5),
    ];
    for (number, bytes) in damaged.iter().enumerate() {
        fs::write(path(&folder), bytes).unwrap();
        let error = Store::open(&path(&folder)).await.unwrap_err();
        assert!(matches!(error, OpenError::Corrupt { .. }), "{number}: {error:?}");
        assert!(error.to_string().contains("restore it from a backup"), "{error}");
        assert_eq!(&fs::read(path(&folder)).unwrap(), bytes, "{number}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "{number}: nothing is left beside it");
    }
}

#[tokio::test]
async fn a_crash_while_the_store_was_made_is_no_fault() {
    let (folder, whole) = grown().await;
    // The journal of a transaction that wrote the first page of an empty file.
    let mut journal = vec![0; 512];
    journal[..8].copy_from_slice(&[0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7]);
    journal[20..24].copy_from_slice(&512_u32.to_be_bytes());
    journal[24..28].copy_from_slice(&4096_u32.to_be_bytes());
    let mut first = whole[..4096].to_vec();
    // As before the switch to WAL.
    first[18..20].copy_from_slice(&[1, 1]);
    fs::write(path(&folder), first).unwrap();
    fs::write(folder.path().join("store.db-journal"), journal).unwrap();
    let store = Store::open(&path(&folder)).await.unwrap();
    assert!(names(&store).await.is_empty());
}
