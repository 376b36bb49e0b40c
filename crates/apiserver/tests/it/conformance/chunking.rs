//! Long lists come in pages.

use crate::cluster::Cluster;
use meta::value;

const TEMPLATES: &str = "/api/v1/namespaces/ns/podtemplates";
const MANY: usize = 40;

async fn filled() -> Cluster {
    let cluster = Cluster::start().await;
    for i in 0..MANY {
        let name = format!("template-{i:04}");
        let object = value!({"metadata": {"name": name}, "template": super::template()});
        cluster.post(TEMPLATES, &object).await.ok();
    }
    cluster
}

fn names(list: &meta::Value) -> Vec<String> {
    let items = list.items_at(&["items"]).iter();
    items
        .map(|item| item.str_at(&["metadata", "name"]).to_string())
        .collect()
}

fn expected() -> Vec<String> {
    (0..MANY).map(|i| format!("template-{i:04}")).collect()
}

#[tokio::test]
async fn pages_of_any_size_make_the_list() {
    let cluster = filled().await;
    for size in [1, 7, 17, 39, 40, 41] {
        let (mut found, mut token, mut revision) = (Vec::new(), String::new(), String::new());
        loop {
            let url = format!("{TEMPLATES}?limit={size}&continue={token}");
            let page = cluster.get(&url).await.ok();
            let of_page = page.str_at(&["metadata", "resourceVersion"]).to_string();
            assert!(revision.is_empty() || revision == of_page, "{size}");
            revision = of_page;
            assert!(page.items_at(&["items"]).len() <= size);
            found.extend(names(&page));
            token = page.str_at(&["metadata", "continue"]).to_string();
            let left = page.i64_at(&["metadata", "remainingItemCount"]);
            match token.is_empty() {
                true => break assert_eq!(left, None),
                false => assert_eq!(left, i64::try_from(MANY - found.len()).ok()),
            }
        }
        assert_eq!(found, expected(), "{size}");
    }
    let whole = cluster.get(&format!("{TEMPLATES}?limit=0")).await.ok();
    assert_eq!(names(&whole), expected());
    assert_eq!(whole.str_at(&["metadata", "continue"]), "");
}

#[tokio::test]
async fn a_list_goes_on_after_its_revision_is_compacted() {
    let cluster = filled().await;
    let first = cluster.get(&format!("{TEMPLATES}?limit=13")).await.ok();
    let token = first.str_at(&["metadata", "continue"]).to_string();
    let one = format!("{TEMPLATES}/template-0000");
    let changed = cluster.patch("merge", &one, &super::labelled("x")).await;
    assert_eq!(changed.code, 200);
    let now = cluster.store.revision().await.expect("a revision");
    cluster.store.compact(now).await.expect("compacts");

    let url = format!("{TEMPLATES}?limit=13&continue={token}");
    let expired = cluster.get(&url).await;
    assert!(expired.failure().starts_with("410 Expired: "));
    let token = expired.value();
    let token = token.str_at(&["metadata", "continue"]);
    let url = format!("{TEMPLATES}?limit=13&continue={token}");
    let second = cluster.get(&url).await.ok();
    let later = second.str_at(&["metadata", "resourceVersion"]);
    assert_ne!(later, first.str_at(&["metadata", "resourceVersion"]));
    let token = second.str_at(&["metadata", "continue"]);
    let rest = cluster.get(&format!("{TEMPLATES}?continue={token}")).await;
    let rest = rest.ok();
    assert_eq!(
        [names(&first), names(&second), names(&rest)].concat(),
        expected()
    );
}
