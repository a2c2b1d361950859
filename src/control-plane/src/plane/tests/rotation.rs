//! A new key while somebody copies the data directory.

use super::*;
use crate::{data_dir, plane::people::Who};

#[actix_web::test]
async fn an_old_key_is_kept_while_somebody_copies_and_forgotten_by_a_later_look() {
    let folder = TempDir::new().unwrap();
    let mut settings = settings(&folder);
    settings.key = KeySource::File;
    let directory = settings.data_dir.clone();
    let running = start(settings, Logger::root(Discard, o!())).await.unwrap();
    let plane = running.plane.clone();
    let keys = || fs::read_to_string(directory.join(data_dir::KEY)).unwrap().lines().count();
    let kept = data_dir::keep_files(&directory).unwrap();
    plane.rotate_key(&Who::Operator).await.unwrap();
    plane.clone().finish_rotation().await;
    assert_eq!((keys(), plane.vault.has_old()), (2, true));
    drop(kept);
    plane.clone().finish_rotation().await;
    assert_eq!((keys(), plane.vault.has_old()), (1, false));
    running.stop().await;
}
