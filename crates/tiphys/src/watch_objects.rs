//! Keeps an index of the API server's true to the objects: RBAC, and what the
//! Node authoriser reads. This is the server looking at itself, below its own
//! door; loops outside of the server use informers.

use futures::StreamExt as _;
use meta::Value;
use registry::{NoticeKind, Registry, Selection, Start, WatchQuery};
use std::sync::Arc;
use stdx::{Importance, Supervisor};

/// What an index is told.
#[derive(Debug)]
pub enum Told<'a> {
    /// These are all there are; what else was known is gone.
    All(&'a [Value]),
    /// The object is now this.
    Put(&'a Value),
    /// The object is gone; as it last was.
    Gone(&'a Value),
}

/// Tells `tell` of every object of a kind now and from now on. When this
/// returns, it has been told of all there were.
pub async fn follow(
    registry: &Arc<Registry>,
    supervisor: &Supervisor,
    group: &'static str,
    plural: &'static str,
    tell: impl Fn(Told<'_>) + Send + Sync + 'static,
) -> anyhow::Result<()> {
    let Some(resource) = registry.any_version(group, plural) else {
        anyhow::bail!("{plural} are not served");
    };
    let (ready, is_ready) = tokio::sync::oneshot::channel();
    let registry = registry.clone();
    supervisor.spawn(
        format!("follow {plural}"),
        Importance::Essential,
        async move {
            let mut ready = Some(ready);
            loop {
                let query = WatchQuery {
                    selection: Selection::default(),
                    start: Start::InitialEvents(store::Revision::ZERO),
                    bookmarks: true,
                };
                let notices = match registry.watch(resource.clone(), query).await {
                    Ok(notices) => notices,
                    Err(error) => {
                        tracing::warn!(%error, plural, "following failed");
                        registry
                            .clock()
                            .sleep(std::time::Duration::from_millis(500))
                            .await;
                        continue;
                    }
                };
                // Until the bookmark says so, what comes is what there was.
                let mut first = Some(Vec::new());
                let mut notices = std::pin::pin!(notices);
                while let Some(notice) = notices.next().await {
                    // No index asks who manages which field.
                    let object = codec::pick::without(&notice.object, "metadata", "managedFields");
                    let object = codec::json::parse_value(&object).unwrap_or_default();
                    match (notice.kind, &mut first) {
                        (NoticeKind::Added, Some(all)) => all.push(object),
                        (NoticeKind::Added | NoticeKind::Modified, _) => tell(Told::Put(&object)),
                        (NoticeKind::Deleted, _) => tell(Told::Gone(&object)),
                        (NoticeKind::Bookmark, _) => {
                            if let Some(all) = first.take() {
                                tell(Told::All(&all));
                            }
                            if let Some(ready) = ready.take() {
                                let _ = ready.send(());
                            }
                        }
                        (NoticeKind::Error, _) => break,
                    }
                }
            }
        },
    );
    let _ = is_ready.await;
    Ok(())
}
