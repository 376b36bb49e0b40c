//! Merging what an applier wants into what is there.

use super::walk::Shape;
use meta::Value;

/// What is there, with everything that the configuration says.
pub(super) fn merge(live: &mut Value, config: &Value, shape: Shape<'_>) {
    match (shape, live, config) {
        (Shape::Struct(_) | Shape::Map(_), Value::Object(live), Value::Object(config)) => {
            for (key, wanted) in config.iter() {
                match live.get_mut(key) {
                    Some(found) => merge(found, wanted, shape.field(key)),
                    None => {
                        live.insert(key.clone(), wanted.clone());
                    }
                }
            }
        }
        (Shape::List(list), Value::Array(live), Value::Array(config)) => {
            merge_list(live, config, shape, Shape::of(&list.item));
        }
        (_, live, config) => *live = config.clone(),
    }
}

/// Items of the configuration stand in its order; the others keep their place
/// relative to those that both know.
fn merge_list(live: &mut Vec<Value>, config: &[Value], shape: Shape<'_>, item_shape: Shape<'_>) {
    let elements = |items: &[Value]| {
        items
            .iter()
            .enumerate()
            .map(|(i, item)| shape.element(item, i))
            .collect::<Vec<_>>()
    };
    let (old, wanted) = (elements(live), elements(config));
    let mut out = Vec::with_capacity(live.len() + config.len());
    let mut placed = vec![false; config.len()];
    let mut next = 0;
    for (element, item) in old.iter().zip(std::mem::take(live)) {
        match wanted.iter().position(|w| w == element) {
            None => out.push(item),
            Some(at) => {
                for i in next..at {
                    let is_new = !old.contains(&wanted[i]);
                    if is_new && !placed[i] {
                        placed[i] = true;
                        out.push(config[i].clone());
                    }
                }
                if !placed[at] {
                    placed[at] = true;
                    let mut merged = item;
                    merge(&mut merged, &config[at], item_shape);
                    out.push(merged);
                    next = next.max(at + 1);
                }
            }
        }
    }
    out.extend(
        config
            .iter()
            .zip(&placed)
            .filter(|(_, placed)| !**placed)
            .map(|(item, _)| item.clone()),
    );
    *live = in_order_of(out, &wanted, shape);
}

/// Puts the wanted items, wherever they stand, into the wanted order.
fn in_order_of(items: Vec<Value>, wanted: &[super::set::Element], shape: Shape<'_>) -> Vec<Value> {
    let rank = |item: &Value, i: usize| wanted.iter().position(|w| *w == shape.element(item, i));
    let slots: Vec<usize> = items
        .iter()
        .enumerate()
        .filter(|(i, item)| rank(item, *i).is_some())
        .map(|(i, _)| i)
        .collect();
    let mut known: Vec<(usize, Value)> = slots
        .iter()
        .filter_map(|&i| Some((rank(&items[i], i)?, items[i].clone())))
        .collect();
    known.sort_by_key(|(rank, _)| *rank);
    let mut out = items;
    for (slot, (_, item)) in slots.into_iter().zip(known) {
        out[slot] = item;
    }
    out
}
