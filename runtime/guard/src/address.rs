//! What kind of network an address is on.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

/// What kind of network an address is on, by IANA's special-purpose registries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AddressClass {
    /// Reachable from anywhere.
    Public,
    /// This machine.
    Loopback,
    /// A private network, a carrier's or a cluster's: reached only where somebody allowed it.
    Private,
    /// Link-local, where clouds keep their metadata services, and addresses that name no single machine: never reached.
    Forbidden,
}

/// Where clouds keep their metadata services outside of the link-local range.
pub const METADATA_V4: [Ipv4Net; 3] = [
    // Alibaba Cloud.
    one_v4(Ipv4Addr::new(100, 100, 100, 200)),
    // Azure's WireServer.
    one_v4(Ipv4Addr::new(168, 63, 129, 16)),
    // Oracle Cloud, Classic.
    one_v4(Ipv4Addr::new(192, 0, 0, 192)),
];

/// Where clouds keep their metadata services outside of the link-local range, over IPv6.
pub const METADATA_V6: [Ipv6Net; 6] = [
    // AWS: instance metadata (::254), the agent of EKS Pod Identity (::23), and whatever is to join them.
    Ipv6Net::new_assert(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0), 32),
    // Google Cloud.
    one_v6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)),
    // Oracle Cloud.
    one_v6(Ipv6Addr::new(0xfd00, 0xc1, 0, 0, 0, 0, 0xa9fe, 0xa9fe)),
    // Alibaba Cloud.
    one_v6(Ipv6Addr::new(0xfd00, 0x100, 0, 0, 0, 0, 0x100, 0x200)),
    // Akamai (Linode).
    one_v6(Ipv6Addr::new(0xfd00, 0xa9fe, 0xa9fe, 0, 0, 0, 0, 1)),
    // Scaleway.
    one_v6(Ipv6Addr::new(0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42)),
];

const fn one_v4(address: Ipv4Addr) -> Ipv4Net {
    Ipv4Net::new_assert(address, 32)
}

const fn one_v6(address: Ipv6Addr) -> Ipv6Net {
    Ipv6Net::new_assert(address, 128)
}

/// Says what kind of network an address is on. An IPv6 address that carries an IPv4 one is judged by what it carries.
#[must_use]
pub fn classify(address: IpAddr) -> AddressClass {
    match address {
        IpAddr::V4(v4) => classify_v4(v4),
        IpAddr::V6(v6) => classify_v6(v6),
    }
}

fn classify_v4(address: Ipv4Addr) -> AddressClass {
    let [a, b, c, _] = address.octets();
    if METADATA_V4.iter().any(|net| net.contains(&address))
        || address.is_link_local()
        || address.is_multicast()
        || address.is_broadcast()
        || a == 0
    {
        AddressClass::Forbidden
    } else if address.is_loopback() {
        AddressClass::Loopback
    } else if address.is_private()
        || address.is_documentation()
        || (a == 100 && b & 0xc0 == 64) // shared by carriers
        || (a == 192 && b == 0 && c == 0) // protocol assignments
        || (a == 192 && b == 88 && c == 99) // 6to4 relays
        || (a == 198 && b & 0xfe == 18) // benchmarks
        || a >= 240
    {
        AddressClass::Private
    } else {
        AddressClass::Public
    }
}

fn classify_v6(address: Ipv6Addr) -> AddressClass {
    if let Some(mapped) = address.to_ipv4_mapped() {
        return classify_v4(mapped);
    }
    if address.is_loopback() {
        return AddressClass::Loopback;
    }
    let segments = address.segments();
    let embedded = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match segments {
        // The well-known NAT64 prefix: an IPv6-only cluster reaches the IPv4 Internet by it.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => classify_v4(embedded(high, low)),
        // Unspecified, IPv4-compatible, 6to4 and Teredo: no server of today is reached by these, only filters are passed.
        [0, 0, 0, 0, 0, 0, _, _] | [0x2002, ..] | [0x2001, 0, ..] => AddressClass::Forbidden,
        _ if METADATA_V6.iter().any(|net| net.contains(&address))
            || address.is_multicast()
            || address.is_unicast_link_local() =>
        {
            AddressClass::Forbidden
        }
        // Site-local, long deprecated; a network's own NAT64; discard-only; IPv4-translated.
        [first, ..] if first & 0xffc0 == 0xfec0 => AddressClass::Private,
        [0x64, 0xff9b, 1, ..] | [0x100, 0, 0, 0, ..] | [0, 0, 0, 0, 0xffff, 0, ..] => {
            AddressClass::Private
        }
        // Documentation, ORCHID, benchmarks.
        [0x2001, 0xdb8, ..]
        | [0x3fff, 0..=0x0fff, ..]
        | [0x2001, 0x10..=0x2f, ..]
        | [0x2001, 2, 0, ..] => AddressClass::Private,
        [0x5f00, ..] => AddressClass::Private,
        _ if address.is_unique_local() => AddressClass::Private,
        // Global unicast is 2000::/3; whatever else there may come is not public yet.
        [first, ..] if first & 0xe000 != 0x2000 => AddressClass::Private,
        _ => AddressClass::Public,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_classed_by_the_network_they_are_on() {
        use AddressClass::{Forbidden, Loopback, Private, Public};
        for (address, class) in [
            ("1.1.1.1", Public),
            ("93.184.216.34", Public),
            ("168.63.129.17", Public),
            ("2606:4700::1111", Public),
            ("127.0.0.1", Loopback),
            ("127.255.0.9", Loopback),
            ("::1", Loopback),
            ("::ffff:127.0.0.1", Loopback),
            ("10.0.0.1", Private),
            ("172.16.0.1", Private),
            ("172.31.255.255", Private),
            ("172.32.0.1", Public),
            ("192.168.1.1", Private),
            ("100.64.0.1", Private),
            ("100.127.255.255", Private),
            ("100.128.0.1", Public),
            ("192.0.0.8", Private),
            ("192.0.0.193", Private),
            ("198.18.0.1", Private),
            ("198.19.255.255", Private),
            ("240.0.0.1", Private),
            ("192.0.2.1", Private),
            ("fc00::1", Private),
            ("fd12:3456::1", Private),
            ("fd20:ce::253", Private),
            ("fec0::1", Private),
            ("2001:db8::1", Private),
            ("64:ff9b:1::a00:1", Private),
            ("::ffff:0:10.0.0.1", Private),
            ("4000::1", Private),
            ("0.0.0.0", Forbidden),
            ("0.1.2.3", Forbidden),
            ("169.254.169.254", Forbidden),
            ("169.254.170.2", Forbidden),
            ("100.100.100.200", Forbidden),
            ("168.63.129.16", Forbidden),
            ("192.0.0.192", Forbidden),
            ("224.0.0.1", Forbidden),
            ("255.255.255.255", Forbidden),
            ("::", Forbidden),
            ("fe80::1", Forbidden),
            ("ff02::1", Forbidden),
            ("fd00:ec2::254", Forbidden),
            ("fd00:ec2::23", Forbidden),
            ("fd20:ce::254", Forbidden),
            ("fd00:c1::a9fe:a9fe", Forbidden),
            ("fd00:100::100:200", Forbidden),
            ("fd00:a9fe:a9fe::1", Forbidden),
            ("fd00:42::42", Forbidden),
            ("::ffff:168.63.129.16", Forbidden),
            ("64:ff9b::192.0.0.192", Forbidden),
            ("::ffff:169.254.169.254", Forbidden),
            ("::169.254.169.254", Forbidden),
            ("64:ff9b::169.254.169.254", Forbidden),
            ("64:ff9b::10.0.0.1", Private),
            ("64:ff9b::1.1.1.1", Public),
            ("2002:a9fe:a9fe::1", Forbidden),
            ("2002:101:101::1", Forbidden),
            ("2001:0:4136:e378:8000:63bf:3fff:fdd2", Forbidden),
        ] {
            assert_eq!(classify(address.parse().unwrap()), class, "{address}");
        }
    }
}
