//! The audit log: added to, read, never changed.

use super::{path, store};
use crate::{AuditRow, Write};
use sqlx::{Connection, SqliteConnection};

fn line(actor: &str, at_ms: i64) -> Write {
    let [actor, action, organization, subject] = [actor, "a", "gh/acme", "s"].map(str::to_owned);
    Write::Audit(AuditRow { number: 0, at_ms, actor, action, organization, subject })
}

#[tokio::test]
async fn a_line_is_never_changed_and_the_oldest_go_first() {
    let (folder, store) = store().await;
    store.write(None, (0..10).map(|at| line("ada", at)).collect()).await.unwrap();
    let mut connection = SqliteConnection::connect(path(&folder).to_str().unwrap()).await.unwrap();
    let error = sqlx::query("UPDATE audit SET actor = 'eve'").execute(&mut connection).await.unwrap_err();
    assert!(error.to_string().contains("never changed"), "{error}");
    connection.close().await.unwrap();
    let times = async || -> Vec<i64> {
        store.audit(None, None, 100).await.unwrap().into_iter().map(|row| row.at_ms).collect()
    };
    store.write(None, vec![Write::ForgetAudit { before_ms: 3, most: 100 }]).await.unwrap();
    assert_eq!(times().await, [9, 8, 7, 6, 5, 4, 3]);
    store.write(None, vec![Write::ForgetAudit { before_ms: 0, most: 2 }]).await.unwrap();
    assert_eq!(times().await, [9, 8]);
    let before = store.audit(Some("gh/acme"), Some(10), 100).await.unwrap();
    assert_eq!(before.iter().map(|row| (row.number, row.at_ms)).collect::<Vec<_>>(), [(9, 8)]);
    assert_eq!(store.audit(Some("gh/other"), None, 100).await.unwrap(), []);
}
