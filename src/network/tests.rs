use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::collection::vec;
use proptest::prelude::*;

use super::InvalidNetwork::{Form, HostBits, PrefixLen};
use super::{InvalidNetwork, InvalidNetworks, MAX_NETWORKS, Network, NetworkSet, NetworksRef};

mod oracle;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn net(text: &str) -> Network {
    text.parse().unwrap()
}

fn set<const N: usize>(texts: [&str; N]) -> NetworkSet {
    NetworkSet::parse(texts).unwrap()
}

#[test]
fn contains_at_edges_is_exact() {
    let cases: [(&str, &[&str], &[&str]); _] = [
        ("0.0.0.0/0", &["0.0.0.0", "255.255.255.255", "::ffff:1.2.3.4"], &["::", "::102:304"]),
        ("10.0.0.0/8", &["10.0.0.0", "10.255.255.255"], &["9.255.255.255", "11.0.0.0"]),
        ("128.0.0.0/1", &["128.0.0.0", "255.255.255.255"], &["127.255.255.255", "0.0.0.0"]),
        ("10.0.0.2/31", &["10.0.0.2", "10.0.0.3"], &["10.0.0.1", "10.0.0.4"]),
        ("10.0.0.2/32", &["10.0.0.2", "::ffff:10.0.0.2"], &["10.0.0.1", "10.0.0.3", "::a00:2"]),
        (
            "::/0",
            &[
                "::",
                "::1",
                "::fffe:102:304",
                "::1:0:0:0",
                "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
            ],
            &["0.0.0.0", "::ffff:0.0.0.0", "::ffff:255.255.255.255"],
        ),
        ("::/80", &["::", "::fffe:ffff:ffff"], &["::ffff:1.2.3.4", "1.2.3.4", "::1:0:0:0"]),
        ("::/95", &["::", "::1:ffff:ffff"], &["::2:0:0", "::ffff:0.0.0.0"]),
        (
            "2001:db8::/32",
            &["2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"],
            &["2001:db7:ffff:ffff:ffff:ffff:ffff:ffff", "2001:db9::"],
        ),
        ("fe80::/64", &["fe80::", "fe80::ffff:ffff:ffff:ffff"], &["fe80:0:0:1::", "fe7f::"]),
        ("2001:db8::2/127", &["2001:db8::2", "2001:db8::3"], &["2001:db8::1", "2001:db8::4"]),
        ("2001:db8::2/128", &["2001:db8::2"], &["2001:db8::1", "2001:db8::3"]),
    ];
    for (network, inside, outside) in cases {
        let (one, many) = (net(network), set(["192.0.2.1", "2001:db8:aaaa::1", network]));
        for address in inside {
            assert!(one.contains(ip(address)), "{network} {address}");
            assert!(many.permits(ip(address)), "{network} {address}");
        }
        for address in outside {
            assert!(!one.contains(ip(address)), "{network} {address}");
            assert!(!many.permits(ip(address)), "{network} {address}");
        }
    }
}

#[test]
fn parse_valid_text_is_canonical() {
    let cases = [
        ("0.0.0.0/0", "0.0.0.0/0"),
        ("10.0.0.0/8", "10.0.0.0/8"),
        ("10.0.0.1", "10.0.0.1/32"),
        ("255.255.255.254/31", "255.255.255.254/31"),
        ("::/0", "::/0"),
        ("2001:DB8:0::/32", "2001:db8::/32"),
        ("2001:db8::1", "2001:db8::1/128"),
        ("::1.2.3.4", "::102:304/128"),
        ("::fffe:0:0/95", "::fffe:0:0/95"),
        // The mapped forms, which are IPv4.
        ("::ffff:0:0/96", "0.0.0.0/0"),
        ("::ffff:0:0/97", "0.0.0.0/1"),
        ("::ffff:128.0.0.0/97", "128.0.0.0/1"),
        ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
        ("::ffff:a00:2/127", "10.0.0.2/31"),
        ("::ffff:10.0.0.1/128", "10.0.0.1/32"),
        ("::ffff:10.0.0.1", "10.0.0.1/32"),
    ];
    for (text, canonical) in cases {
        assert_eq!(net(text).to_string(), canonical, "{text}");
        assert_eq!(net(canonical), net(text));
    }
    assert_eq!(net("10.0.0.1"), ip("::ffff:10.0.0.1").into());
    assert_eq!(net("2001:db8::1"), ip("2001:db8::1").into());
    assert_eq!((net("10.0.0.0/8").address(), net("10.0.0.0/8").prefix_len()), (ip("10.0.0.0"), 8));
}

#[test]
fn parse_invalid_text_names_the_rule() {
    let cases: [(InvalidNetwork, &[&str]); _] = [
        (
            Form,
            &[
                "",
                "/",
                "/8",
                " 10.0.0.0/8",
                "10.0.0.0 /8",
                "10/8",
                "10.0.0/8",
                "10.0.0.0.0/8",
                "10.0.0.256",
                "010.0.0.0/8",
                "10.00.0.0/8",
                "10.0.0.01",
                "0x0a.0.0.0/8",
                "167772160",
                "*",
                "localhost",
                "fe80::1%eth0",
                "fe80::%1/64",
                "[::1]",
                "[::1]/128",
                "::1::/64",
                "1:2:3:4:5:6:7",
                "00001::/16",
                "::ffff:010.0.0.0/104",
                "10.0.0.0:80",
                "\u{661}0.0.0.0/8",
            ],
        ),
        (
            PrefixLen,
            &[
                "10.0.0.0/",
                "10.0.0.0/33",
                "10.0.0.0/+8",
                "10.0.0.0/-8",
                "10.0.0.0/08",
                "10.0.0.0/00",
                "10.0.0.0/ 8",
                "10.0.0.0/8 ",
                "10.0.0.0/8/8",
                "10.0.0.0/255.0.0.0",
                "10.0.0.0/256",
                "10.0.0.0/264",
                "10.0.0.0/0x8",
                "10.0.0.0/\u{668}",
                "10.0.0.1/33",
                "::/129",
                "::/0128",
                "::/+0",
                "::ffff:10.0.0.0/129",
                "::/384",
            ],
        ),
        (
            HostBits,
            &[
                "10.0.0.1/8",
                "10.0.0.1/31",
                "0.0.0.1/0",
                "128.0.0.0/0",
                "::1/0",
                "8000::/0",
                "::1/127",
                "2001:db8::1/64",
                // Mapped addresses: 96 bits of the prefix are fixed, and the last of them is set.
                "::ffff:0:0/95",
                "::ffff:0:0/80",
                "::ffff:0:0/0",
                "::ffff:10.0.0.0/8",
                "::ffff:10.0.0.1/104",
                "::ffff:128.0.0.0/96",
            ],
        ),
    ];
    for (error, texts) in cases {
        for text in texts {
            assert_eq!(text.parse::<Network>(), Err(error), "{text}");
        }
    }
}

#[test]
fn new_set_sorts_and_removes_duplicates() {
    let networks = ["::/0", "10.0.0.0/9", "10.0.0.0/8", "9.0.0.1", "::ffff:10.0.0.0/104"];
    let sorted = set(networks);
    assert_eq!(sorted.to_string(), "9.0.0.1/32 10.0.0.0/8 10.0.0.0/9 ::/0");
    assert_eq!(format!("{sorted:?}"), "NetworkSet(9.0.0.1/32 10.0.0.0/8 10.0.0.0/9 ::/0)");
    assert_eq!(NetworkSet::new(networks.map(net)), Ok(sorted.clone()));
    assert!(sorted.into_iter().eq(["9.0.0.1/32", "10.0.0.0/8", "10.0.0.0/9", "::/0"].map(net)));
}

#[test]
fn new_set_beyond_limits_is_refused() {
    let addresses =
        |count: u32| (0..count).map(|i| Network::from(IpAddr::V4(Ipv4Addr::from_bits(i))));
    let limit = u32::try_from(MAX_NETWORKS).unwrap();
    assert_eq!(NetworkSet::new([]), Err(InvalidNetworks::Empty));
    assert_eq!(NetworkSet::parse([""; 0]), Err(InvalidNetworks::Empty));
    let full = NetworkSet::new(addresses(limit)).unwrap();
    assert_eq!(NetworkSet::new(addresses(limit).chain(addresses(limit))), Ok(full));
    let too_many = Err(InvalidNetworks::TooMany { max: 32 });
    assert_eq!(NetworkSet::new(addresses(limit + 1)), too_many);
    let refused = NetworkSet::parse(["10.0.0.0/8", "::1", "10.0.0.1/8", ""]);
    assert_eq!(refused, Err(InvalidNetworks::Entry { index: 2, source: HostBits }));
}

#[test]
fn contains_of_sets_is_exact_for_unions() {
    let cases: [(NetworkSet, NetworkSet, bool); _] = [
        (set(["10.0.0.0/8"]), set(["10.0.0.0/8"]), true),
        (set(["10.0.0.0/8"]), set(["10.0.0.0/7"]), false),
        (set(["10.0.0.0/9", "10.128.0.0/9"]), set(["10.0.0.0/8"]), true),
        (set(["10.0.0.0/9", "10.128.0.0/10"]), set(["10.0.0.0/8"]), false),
        (set(["10.0.0.0/9", "10.192.0.0/10"]), set(["10.0.0.0/8"]), false),
        // Siblings of siblings, and a part that another network covers too.
        (set(["10.0.0.0/9", "10.128.0.0/10", "10.192.0.0/10"]), set(["10.0.0.0/8"]), true),
        (set(["10.0.0.0/9", "10.0.0.0/24", "10.128.0.0/9"]), set(["10.0.0.0/8"]), true),
        // Neighbours that are not siblings still contain a network that both of them touch.
        (set(["10.0.0.0/8", "11.0.0.0/8"]), set(["10.0.0.0/7"]), true),
        (set(["9.0.0.0/8", "10.0.0.0/8"]), set(["8.0.0.0/6"]), false),
        // One missing address is a gap.
        (set(["10.0.0.0/32", "10.0.0.2/31"]), set(["10.0.0.0/30"]), false),
        (set(["10.0.0.0/31", "10.0.0.3/32"]), set(["10.0.0.0/30"]), false),
        (set(["10.0.0.1/32", "10.0.0.2/31"]), set(["10.0.0.0/30"]), false),
        (set(["::", "::2/127"]), set(["::/126"]), false),
        (set(["0.0.0.0/1", "128.0.0.0/1"]), set(["0.0.0.0/0"]), true),
        (set(["::/1", "8000::/1"]), set(["::/0"]), true),
        (set(["::/1"]), set(["::/0"]), false),
        (set(["255.255.255.254", "255.255.255.255"]), set(["255.255.255.254/31"]), true),
        // The families are separate, also where their numbers agree.
        (set(["::/0"]), set(["0.0.0.0/0"]), false),
        (set(["0.0.0.0/0"]), set(["::/96"]), false),
        (set(["::/96"]), set(["10.0.0.0/8"]), false),
        (set(["0.0.0.0/0", "::/0"]), set(["10.0.0.0/8", "2001:db8::/32"]), true),
        (set(["10.0.0.0/8"]), set(["10.0.0.0/8", "::1"]), false),
        (set(["::ffff:0:0/96"]), set(["10.0.0.0/8"]), true),
        // No IPv6 network permits a mapped address, so these are not missing.
        (set(["::fffe:0:0/96"]), set(["::fffe:0:0/95"]), true),
        (set(["::fffe:0:0/96"]), set(["::fffc:0:0/94"]), false),
        (set(["::fffc:0:0/95", "::fffe:0:0/96"]), set(["::fffc:0:0/94"]), true),
        (set(["::/80"]), set(["::/79"]), false),
    ];
    for (own, other, expected) in cases {
        assert_eq!(own.contains(&other), expected, "{own} / {other}");
    }
}

#[test]
fn bytes_of_a_set_are_the_golden_ones() {
    let bytes = [
        &[4, 10, 0, 0, 0, 8][..],
        &[4, 192, 0, 2, 1, 32],
        &[6, 0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32],
    ]
    .concat();
    let networks = set(["2001:db8::/32", "192.0.2.1", "10.0.0.0/8"]);
    assert_eq!(networks.as_bytes(), bytes);
    assert_eq!(NetworkSet::from_bytes(&bytes), Ok(networks));
}

#[test]
fn bytes_not_canonical_are_refused() {
    let v4 = |a: [u8; 4], len| [&[4][..], &a, &[len]].concat();
    let v6 = |a: &str, len| [&[6][..], &a.parse::<Ipv6Addr>().unwrap().octets(), &[len]].concat();
    let full: Vec<u8> = (0..33).flat_map(|i| v4([10, 0, 0, i], 32)).collect();
    assert!(NetworkSet::from_bytes(&full[..32 * 6]).is_ok());
    let cases = [
        ("a set of networks is empty", vec![]),
        ("a set has too many networks", full),
        ("a network is malformed", vec![5, 10, 0, 0, 0, 8]),
        ("a network is malformed", vec![4, 10, 0, 0, 0]),
        ("a network is malformed", vec![4]),
        ("a network is malformed", v6("::", 0)[..17].to_vec()),
        ("a network is malformed", [v4([10, 0, 0, 0], 8), vec![4]].concat()),
        ("a network is not canonical", v4([10, 0, 0, 1], 8)),
        ("a network is not canonical", v4([10, 0, 0, 0], 33)),
        ("a network is not canonical", v4([10, 0, 0, 0], 255)),
        ("a network is not canonical", v6("::1", 127)),
        ("a network is not canonical", v6("::", 129)),
        ("a network is not canonical", v6("::ffff:0:0", 95)),
        ("a network is not canonical", v6("::ffff:0:0", 96)),
        ("a network is not canonical", v6("::ffff:10.0.0.1", 128)),
        ("networks are not in ascending order", v4([10, 0, 0, 0], 8).repeat(2)),
        (
            "networks are not in ascending order",
            [v4([10, 0, 0, 0], 9), v4([10, 0, 0, 0], 8)].concat(),
        ),
        ("networks are not in ascending order", [v6("::", 0), v4([10, 0, 0, 0], 8)].concat()),
    ];
    for (error, bytes) in cases {
        assert_eq!(NetworkSet::from_bytes(&bytes), Err(error), "{bytes:?}");
    }
}

#[test]
fn malformed_bytes_widen_nothing() {
    let everything = set(["0.0.0.0/0", "::/0"]);
    let good = set(["10.0.0.0/8"]);
    for bad in [&[][..], &[4, 10, 0, 0, 0], &[5, 0, 0, 0, 0, 0], &[4, 0, 0, 0, 0, 33]] {
        let broken = NetworksRef::from_canonical(bad);
        assert!(!broken.permits(ip("10.0.0.0")) && !broken.permits(ip("0.0.0.0")));
        assert!(!broken.contains(good.borrowed()));
    }
    for bad in [&[][..], &[4, 10, 0, 0, 0, 8, 4], &[4, 10, 0, 0, 0, 8, 5, 0, 0, 0, 0, 0]] {
        assert!(!everything.borrowed().contains(NetworksRef::from_canonical(bad)));
    }
}

#[cfg(feature = "serde")]
#[test]
fn serde_text_round_trips() {
    let networks = set(["10.0.0.0/8", "2001:db8::1"]);
    let json = serde_json::to_string(&networks).unwrap();
    assert_eq!(json, r#"["10.0.0.0/8","2001:db8::1/128"]"#);
    assert_eq!(serde_json::from_str::<NetworkSet>(&json).unwrap(), networks);
    assert_eq!(serde_json::from_str::<Network>(r#""\u003a:1""#).unwrap(), net("::1"));
    let refused = serde_json::from_str::<Network>(r#""10.0.0.1/8""#).unwrap_err().to_string();
    assert!(refused.starts_with(&HostBits.to_string()), "{refused}");
    assert!(serde_json::from_str::<NetworkSet>("[]").is_err());
    assert!(serde_json::from_str::<Network>("8").is_err());
}
