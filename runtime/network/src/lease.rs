//! Who holds which address: one file per address under `run/networks/<name>/leases/`, complete from its first moment.
//!
//! **Invariant:** an address has one holder: a lease appears by link(2), which fails when the name is there; no lock.

use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use crate::atomic_file::{make_directory, remove, replace, write_new};
use crate::dns::zone::Zone;
use crate::error::NetworkError;
use crate::ipam::{candidates, check_address};
use crate::spec::{NetworkSpec, NetworkState, PublishedPort};

/// What a lease says of its holder: everything names and firewall need.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
#[cbor(map)]
pub struct Lease {
    /// The container's full id.
    #[n(0)]
    pub container_id: String,
    /// The container's name, which its address answers to in reverse.
    #[n(1)]
    pub container_name: String,
    /// The project the container belongs to.
    #[n(2)]
    pub project: Option<String>,
    /// The service the container belongs to.
    #[n(3)]
    pub service: Option<String>,
    /// Every name it is found by in this network, the container's name included.
    #[n(4)]
    pub names: Vec<String>,
    /// The host's ports that lead to it. Put them in one of the container's leases only: that of its default route.
    #[n(5)]
    pub ports: Vec<PublishedPort>,
}

/// A lease with its address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leased {
    /// The address.
    pub address: Ipv4Addr,
    /// Its holder.
    pub lease: Lease,
}

/// The run directory of one network.
#[derive(Clone, Debug)]
pub struct NetworkRun {
    directory: PathBuf,
}

impl NetworkRun {
    /// The run directory of `network` below `run_root`; nothing is made yet.
    pub fn new(run_root: &Path, network: &str) -> Self {
        Self {
            directory: run_root.join("networks").join(network),
        }
    }

    /// The zone file, as [`crate::Attachment::zone_path`] names it.
    pub fn zone_path(&self) -> PathBuf {
        self.directory.join("zone")
    }

    fn leases_path(&self) -> PathBuf {
        self.directory.join("leases")
    }

    fn lease_path(&self, address: Ipv4Addr) -> PathBuf {
        self.leases_path().join(address.to_string())
    }

    /// Takes an address for `lease`: `requested`, or a free one, by preference the one this container name had before.
    /// Taking again for the same container gives the same address with the new record.
    ///
    /// # Errors
    /// The address asked for has another holder or is unusable; the range is full; the directory cannot be written.
    pub fn take(
        &self,
        spec: &NetworkSpec,
        lease: &Lease,
        requested: Option<Ipv4Addr>,
    ) -> Result<Ipv4Addr, NetworkError> {
        let leases = self.leases_path();
        make_directory(&leases)?;
        let complete = leases.join(format!(".new-{}", short(&lease.container_id)));
        write_new(&complete, &encode(lease, &complete)?)?;
        let taken = self.take_complete(spec, lease, requested, &complete);
        remove(&complete)?;
        taken
    }

    fn take_complete(
        &self,
        spec: &NetworkSpec,
        lease: &Lease,
        requested: Option<Ipv4Addr>,
        complete: &Path,
    ) -> Result<Ipv4Addr, NetworkError> {
        if let Some(address) = requested {
            let address = check_address(spec, address)?;
            return match self.claim(address, lease, complete)? {
                Claim::Ours => Ok(address),
                Claim::Held(holder) => Err(NetworkError::AddressTaken {
                    network: spec.name.clone(),
                    address,
                    holder: format!("container `{holder}`"),
                }),
            };
        }
        for address in candidates(spec, &lease.container_name) {
            if matches!(self.claim(address, lease, complete)?, Claim::Ours) {
                return Ok(address);
            }
        }
        Err(NetworkError::NetworkFull {
            network: spec.name.clone(),
            range: spec.ip_range.unwrap_or(spec.subnet),
        })
    }

    fn claim(&self, address: Ipv4Addr, lease: &Lease, complete: &Path) -> Result<Claim, NetworkError> {
        let path = self.lease_path(address);
        loop {
            match fs::hard_link(complete, &path) {
                Ok(()) => return Ok(Claim::Ours),
                Err(source) if source.kind() == io::ErrorKind::AlreadyExists => {}
                Err(source) => return Err(NetworkError::file("create", path)(source)),
            }
            match read(&path)? {
                Some(holder) if holder.container_id == lease.container_id => {
                    replace(&path, &encode(lease, &path)?)?;
                    return Ok(Claim::Ours);
                }
                Some(holder) => return Ok(Claim::Held(holder.container_name)),
                // Released in between: try again.
                None => {}
            }
        }
    }

    /// Gives `address` back if `container_id` holds it; tells whether it did.
    pub fn release(&self, address: Ipv4Addr, container_id: &str) -> Result<bool, NetworkError> {
        let path = self.lease_path(address);
        match read(&path)? {
            Some(lease) if lease.container_id == container_id => remove(&path).map(|()| true),
            Some(_) | None => Ok(false),
        }
    }

    /// All leases, by address; none when the network has no run directory.
    pub fn leases(&self) -> Result<Vec<Leased>, NetworkError> {
        let path = self.leases_path();
        let entries = match fs::read_dir(&path) {
            Ok(entries) => entries,
            Err(source) if source.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(NetworkError::file("read", path)(source)),
        };
        let mut leases = Vec::new();
        for entry in entries {
            let name = entry.map_err(NetworkError::file("read", &path))?.file_name();
            let Some(address) = name.to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            if let Some(lease) = read(&self.lease_path(address))? {
                leases.push(Leased { address, lease });
            }
        }
        leases.sort_by_key(|leased| leased.address);
        Ok(leases)
    }

    /// The network with its leases, for zone and ruleset.
    pub fn state(&self, spec: &NetworkSpec) -> Result<NetworkState, NetworkError> {
        Ok(NetworkState {
            spec: spec.clone(),
            leases: self.leases()?,
        })
    }

    /// Gives back every lease whose container `alive` denies; returns them.
    pub fn reclaim(&self, alive: impl Fn(&str) -> bool) -> Result<Vec<Leased>, NetworkError> {
        let mut reclaimed = Vec::new();
        for leased in self.leases()? {
            if !alive(&leased.lease.container_id)
                && self.release(leased.address, &leased.lease.container_id)?
            {
                reclaimed.push(leased);
            }
        }
        Ok(reclaimed)
    }

    /// Replaces the zone file by `zone`, whole.
    pub fn write_zone(&self, zone: &Zone) -> Result<(), NetworkError> {
        make_directory(&self.directory)?;
        replace(&self.zone_path(), zone.to_string().as_bytes())
    }

    /// Removes all of it, once the network has no containers.
    pub fn remove(&self) -> Result<(), NetworkError> {
        match fs::remove_dir_all(&self.directory) {
            Ok(()) => Ok(()),
            Err(source) if source.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(source) => Err(NetworkError::file("remove", &self.directory)(source)),
        }
    }
}

enum Claim {
    Ours,
    Held(String),
}

fn short(container_id: &str) -> &str {
    container_id.get(..16).unwrap_or(container_id)
}

fn encode(lease: &Lease, path: &Path) -> Result<Vec<u8>, NetworkError> {
    minicbor::to_vec(lease).map_err(|error| damaged(path, &error))
}

fn damaged(path: &Path, reason: &impl ToString) -> NetworkError {
    NetworkError::Lease {
        path: path.to_owned(),
        reason: reason.to_string(),
    }
}

fn read(path: &Path) -> Result<Option<Lease>, NetworkError> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(source) if source.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(NetworkError::file("read", path)(source)),
    };
    minicbor::decode(&bytes)
        .map(Some)
        .map_err(|error| damaged(path, &error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::thread;

    /// A run root of this test's own, removed with it.
    struct RunRoot(PathBuf);

    impl RunRoot {
        fn new(name: &str) -> Self {
            Self(std::env::temp_dir().join(format!("rcompose-lease-{name}-{}", std::process::id())))
        }
    }

    impl Drop for RunRoot {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).expect("the run root is removed");
        }
    }

    fn spec(subnet: &str) -> NetworkSpec {
        let subnet: crate::Ipv4Net = subnet.parse().expect(subnet);
        NetworkSpec {
            name: "web".into(),
            bridge: "rc-web".into(),
            subnet,
            gateway: subnet.nth(1).expect("room"),
            ip_range: None,
            reserved: Vec::new(),
            internal: false,
            mtu: None,
            isolated: false,
        }
    }

    fn lease(name: &str) -> Lease {
        Lease {
            container_id: format!("{name:-<64}"),
            container_name: name.into(),
            project: Some("shop".into()),
            service: Some("web".into()),
            names: vec![name.into(), "web".into()],
            ports: Vec::new(),
        }
    }

    #[test]
    fn a_lease_sticks_to_its_name_and_survives_being_taken_twice() {
        let root = RunRoot::new("sticky");
        let run = NetworkRun::new(&root.0, "web");
        let spec = spec("10.89.0.0/24");
        let first = run.take(&spec, &lease("shop-web-1"), None).expect("free");
        assert_eq!(run.take(&spec, &lease("shop-web-1"), None).expect("again"), first);
        assert_eq!(
            run.leases().expect("read"),
            [Leased {
                address: first,
                lease: lease("shop-web-1")
            }]
        );

        assert!(!run.release(first, "someone else").expect("read"));
        assert!(
            run.release(first, &lease("shop-web-1").container_id)
                .expect("released")
        );
        let mut reborn = lease("shop-web-1");
        reborn.container_id = "f".repeat(64);
        assert_eq!(
            run.take(&spec, &reborn, None).expect("free"),
            first,
            "the name keeps its address"
        );
    }

    #[test]
    fn many_takers_at_once_get_different_addresses_until_the_network_is_full() {
        let root = RunRoot::new("race");
        let run = NetworkRun::new(&root.0, "web");
        let spec = spec("10.89.0.0/27");
        let addresses: Vec<_> = thread::scope(|scope| {
            let takers: Vec<_> = (0..29)
                .map(|i| {
                    let (run, spec) = (&run, &spec);
                    scope.spawn(move || run.take(spec, &lease(&format!("c{i}")), None).expect("free"))
                })
                .collect();
            takers
                .into_iter()
                .map(|taker| taker.join().expect("no panic"))
                .collect()
        });
        assert_eq!(addresses.iter().collect::<BTreeSet<_>>().len(), 29);
        let full = run.take(&spec, &lease("late"), None).expect_err("full");
        assert_eq!(
            full.to_string(),
            "network `web`: all addresses of 10.89.0.0/27 are taken"
        );
        let left: Vec<_> = fs::read_dir(run.leases_path()).expect("read").collect();
        assert_eq!(left.len(), 29, "no unfinished file is left");
    }

    #[test]
    fn an_address_asked_for_names_its_holder_and_the_dead_are_reclaimed() {
        let root = RunRoot::new("asked");
        let run = NetworkRun::new(&root.0, "web");
        let spec = spec("10.89.0.0/24");
        let wanted = Ipv4Addr::new(10, 89, 0, 53);
        assert_eq!(
            run.take(&spec, &lease("dns"), Some(wanted)).expect("free"),
            wanted
        );
        let taken = run.take(&spec, &lease("other"), Some(wanted)).expect_err("held");
        assert_eq!(
            taken.to_string(),
            "network `web`: address 10.89.0.53 is taken by container `dns`"
        );
        let dead = run
            .reclaim(|id| id != lease("dns").container_id)
            .expect("reclaimed");
        assert_eq!(dead.len(), 1);
        assert_eq!(
            run.take(&spec, &lease("other"), Some(wanted)).expect("free now"),
            wanted
        );
    }

    #[test]
    fn a_record_of_the_first_version_is_still_read() {
        let bytes: &[u8] = b"\xa6\x00\x61i\x01\x61n\x02\xf6\x03\x61s\x04\x81\x61n\x05\x81\xa4\
            \x00\xf6\x01\x19\x1f\x90\x02\x18\x50\x03\x00";
        let lease: Lease = minicbor::decode(bytes).expect("decodes");
        assert_eq!(
            (lease.container_id.as_str(), lease.service.as_deref()),
            ("i", Some("s"))
        );
        assert_eq!(lease.ports[0].to_string(), "8080:80/tcp");
    }
}
