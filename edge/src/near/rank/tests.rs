//! Tables of clients and the nodes that suit them.

use std::sync::Arc;

use freshet_proto::{annex::Places, view::NodeView};

use super::*;

const FRANKFURT: (i32, i32) = (501_109, 86_821);
const ASHBURN: (i32, i32) = (390_438, -774_874);
const SINGAPORE: (i32, i32) = (12_900, 1_038_500);
const BERLIN: Whereabouts = Whereabouts::At(525_200, 134_050);
const NEW_YORK: Whereabouts = Whereabouts::At(407_128, -740_060);
const TOKYO: Whereabouts = Whereabouts::At(356_762, 1_396_503);

const ALL: Wanted = Wanted { most: 100, per_region: 100 };

/// Edges by number, region and load; the state is active.
fn atlas(nodes: &[(u64, &str, u16)]) -> Atlas {
    atlas_with(nodes, |_| {})
}

fn atlas_with(nodes: &[(u64, &str, u16)], change: impl Fn(&mut View)) -> Atlas {
    let mut places = Places::default();
    let (mut view, mut loads) = (View::default(), Loads::default());
    for (n, region, permille) in nodes {
        let id = NodeId(*n);
        let position = match *region {
            "fra" => Some(FRANKFURT),
            "iad" => Some(ASHBURN),
            "sin" => Some(SINGAPORE),
            _ => None,
        };
        view.nodes.insert(id, NodeView::new(Role::Edge, ([127, 0, 0, 1], 1).into(), &format!("edge-{n}")));
        let https = format!("https://{region}-{n}.example.org");
        places.nodes.insert(id, Place { region: (*region).to_owned(), position, https, ..Place::default() });
        loads.nodes.insert(id, Load { clients: 0, permille: *permille });
    }
    view.annex.places = Arc::new(places);
    change(&mut view);
    Atlas::of(&view, &loads, Role::Edge)
}

fn at(whereabouts: Whereabouts) -> Client {
    Client { whereabouts, ..Client::default() }
}

fn order(atlas: &Atlas, client: &Client) -> Vec<u64> {
    ordered_for("ada", atlas, client)
}

fn ordered_for(channel: &str, atlas: &Atlas, client: &Client) -> Vec<u64> {
    let channel = channel.parse().unwrap();
    atlas.rank(client, Some(&channel), ALL).iter().map(|ranked| ranked.node.0).collect()
}

#[test]
fn clients_get_the_nearest_region_first() {
    let atlas = atlas(&[(1, "fra", 0), (2, "iad", 0), (3, "sin", 0)]);
    for (client, expected) in [
        (at(BERLIN), [(1, 10), (2, 105), (3, 153)]),
        (at(NEW_YORK), [(2, 9), (1, 97), (3, 234)]),
        (at(TOKYO), [(3, 84), (1, 144), (2, 167)]),
        (at(Whereabouts::In("sin".into())), [(3, 4), (1, 158), (2, 237)]),
        (at(Whereabouts::In("nowhere".into())), [(1, 300), (2, 300), (3, 300)]),
        (at(Whereabouts::Unknown), [(1, 300), (2, 300), (3, 300)]),
    ] {
        let ranked = atlas.rank(&client, Some(&"ada".parse().unwrap()), ALL);
        let seen: Vec<_> = ranked.iter().map(|ranked| (ranked.node.0, ranked.est_ms)).collect();
        assert_eq!(seen, expected, "{client:?}");
    }
}

#[test]
fn what_a_client_has_measured_wins_over_what_the_map_says() {
    let atlas = atlas(&[(1, "fra", 0), (2, "iad", 0), (3, "sin", 0)]);
    let measured = [("fra".to_owned(), 180), ("sin".to_owned(), 20)].into();
    let client = Client { whereabouts: BERLIN, measured };
    assert_eq!(order(&atlas, &client), [3, 2, 1]);
    assert_eq!(atlas.estimate(&client, NodeId(1)), Some(180));
    assert_eq!((atlas.estimate(&client, NodeId(2)), atlas.estimate(&client, NodeId(9))), (Some(105), None));
}

#[test]
fn a_region_that_fills_up_counts_as_farther() {
    for (load, expected) in [(0, [1, 2]), (700, [1, 2]), (999, [2, 1])] {
        // London: 14 ms from fra and 93 from iad; at 99.9 % fra counts as 99 ms farther.
        let atlas = atlas(&[(1, "fra", load), (2, "iad", 0)]);
        let client = at(Whereabouts::At(515_074, -1_278));
        assert_eq!(order(&atlas, &client), expected, "at {load}");
    }
    let atlas = atlas(&[(1, "fra", 999), (2, "sin", 0)]);
    assert_eq!(order(&atlas, &at(BERLIN)), [1, 2], "but not as far as the other side of the world");
}

#[test]
fn a_full_node_comes_after_all_others_wherever_it_is() {
    let atlas = atlas(&[(1, "fra", 1000), (2, "fra", 100), (3, "sin", 900), (4, "iad", 1500)]);
    let ranked = atlas.rank(&at(BERLIN), Some(&"ada".parse().unwrap()), ALL);
    let seen: Vec<_> = ranked.iter().map(|ranked| (ranked.node.0, ranked.full)).collect();
    assert_eq!(seen, [(2, false), (3, false), (1, true), (4, true)]);
}

#[test]
fn who_drains_is_lost_has_just_joined_or_has_no_address_is_not_there() {
    let nodes = [(1, "fra", 0), (2, "fra", 0)];
    for state in [NodeState::Draining, NodeState::Lost, NodeState::Joined] {
        let atlas = atlas_with(&nodes, |view| view.nodes.get_mut(&NodeId(1)).unwrap().state = state);
        assert_eq!(order(&atlas, &at(BERLIN)), [2], "{state}");
    }
    let removed = atlas_with(&nodes, |view| drop(view.nodes.remove(&NodeId(1))));
    assert_eq!(order(&removed, &at(BERLIN)), [2]);
    let origin = atlas_with(&nodes, |view| view.nodes.get_mut(&NodeId(1)).unwrap().role = Role::Origin);
    assert_eq!(order(&origin, &at(BERLIN)), [2]);
    let mute = atlas_with(&nodes, |view| {
        Arc::make_mut(&mut view.annex.places).nodes.get_mut(&NodeId(1)).unwrap().https.clear();
    });
    assert_eq!(order(&mute, &at(BERLIN)), [2]);
    assert!(Atlas::default().rank(&at(BERLIN), None, ALL).is_empty());
}

const TEN: [(u64, &str, u16); 10] = [
    (1, "fra", 0),
    (2, "fra", 0),
    (3, "fra", 0),
    (4, "fra", 0),
    (5, "fra", 0),
    (6, "fra", 0),
    (7, "fra", 0),
    (8, "fra", 0),
    (9, "fra", 0),
    (10, "fra", 0),
];

#[test]
fn a_channel_has_its_own_edge_and_channels_are_spread_evenly() {
    let atlas = atlas(&TEN);
    let mut first = [0; 11];
    for n in 0..1000 {
        let order = ordered_for(&format!("channel-{n}"), &atlas, &at(BERLIN));
        assert_eq!(order, ordered_for(&format!("channel-{n}"), &atlas, &at(NEW_YORK)), "wherever one asks from");
        first[order[0] as usize] += 1;
    }
    // 100 each, give or take three standard deviations.
    assert!(first[1..].iter().all(|count| (70..=130).contains(count)), "{first:?}");
}

#[test]
fn an_edge_that_goes_takes_only_its_own_channels_along() {
    let (all, fewer) = (atlas(&TEN), atlas(&TEN[1..]));
    for n in 0..200 {
        let mut before = ordered_for(&format!("channel-{n}"), &all, &at(BERLIN));
        before.retain(|node| *node != 1);
        assert_eq!(before, ordered_for(&format!("channel-{n}"), &fewer, &at(BERLIN)));
    }
}

#[test]
fn an_edge_that_is_busier_than_its_share_yields_to_the_next() {
    let even = atlas(&[(1, "fra", 400), (2, "fra", 400), (3, "fra", 400)]);
    let usual = order(&even, &at(BERLIN));
    let with = |busiest: u16| {
        let load = |node: u64| if node == usual[0] { busiest } else { 400 };
        order(&atlas(&[(1, "fra", load(1)), (2, "fra", load(2)), (3, "fra", load(3))]), &at(BERLIN))
    };
    assert_eq!(with(560), usual, "the mean is 453, so that 616 are allowed");
    assert_eq!(with(800), [usual[1], usual[2], usual[0]], "the mean is 533, so that 716 are allowed");
    let idle = atlas(&[(1, "fra", 0), (2, "fra", 0), (3, "fra", 50)]);
    assert_eq!(order(&idle, &at(BERLIN)), usual, "among the idle nobody yields");
}

#[test]
fn without_a_channel_the_idlest_of_a_region_comes_first() {
    let atlas = atlas(&[(1, "fra", 30), (2, "fra", 10), (3, "iad", 0), (4, "fra", 10)]);
    let ranked = atlas.rank(&at(BERLIN), None, ALL);
    assert_eq!(ranked.iter().map(|ranked| ranked.node.0).collect::<Vec<_>>(), [2, 4, 1, 3]);
}

#[test]
fn no_more_are_named_than_are_wanted_and_other_regions_have_their_places() {
    let atlas = atlas(&[(1, "fra", 0), (2, "fra", 0), (3, "fra", 0), (4, "iad", 0), (5, "iad", 0), (6, "sin", 0)]);
    let regions = |wanted| {
        let ranked = atlas.rank(&at(BERLIN), Some(&"ada".parse().unwrap()), wanted);
        ranked.iter().map(|ranked| ranked.est_ms).collect::<Vec<_>>()
    };
    assert_eq!(regions(Wanted { most: 4, per_region: 2 }), [10, 10, 105, 105]);
    assert_eq!(regions(Wanted { most: 100, per_region: 1 }), [10, 105, 153]);
    assert_eq!(regions(Wanted { most: 0, per_region: 1 }), [0; 0]);
}

#[test]
fn load_is_told_in_thousandths_of_the_capacity() {
    for (clients, capacity, permille) in
        [(0, 100, 0), (50, 100, 500), (250, 100, 2500), (7, 0, 7000), (9_999, 1, u16::MAX)]
    {
        assert_eq!(load(clients, capacity).permille, permille, "{clients} of {capacity}");
    }
}

#[test]
fn distances_are_those_of_the_globe() {
    for (from, to, expected) in [
        (FRANKFURT, ASHBURN, 6540.0),
        (FRANKFURT, SINGAPORE, 10_260.0),
        ((0, 1_790_000), (0, -1_790_000), 222.0),
        ((900_000, 0), (-900_000, 0), 20_015.0),
        (FRANKFURT, FRANKFURT, 0.0),
    ] {
        let km = kilometres(from, to);
        assert!((km - expected).abs() < 20.0, "{from:?} to {to:?}: {km}");
    }
}
