//! Owns which container a process lives in, by the path of its control group: what makes containers names their groups so.

use serde::Serialize;

/// The shortest name that is a number of a container: Docker shows twelve digits of it.
const ID_DIGITS_MIN: usize = 12;

/// What makes containers, and what the path of a group of theirs has before the number, and behind it.
const MAKERS: [(&str, &str, &str); 8] = [
    ("docker", "docker-", ".scope"),
    ("podman", "libpod-", ".scope"),
    ("containerd", "cri-containerd-", ".scope"),
    ("cri-o", "crio-", ".scope"),
    ("docker", "docker/", ""),
    ("podman", "libpod/", ""),
    ("kubernetes", "kubepods", ""),
    ("lxc", "lxc.payload.", ""),
];

/// A container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Container {
    /// What has made it.
    pub maker: &'static str,
    /// Its number, or its name where it has none.
    pub id: String,
}

// === impl Container ===

impl Container {
    /// The innermost container of a group; `None` outside of any that is known here.
    pub fn of_group(group: &str) -> Option<Self> {
        MAKERS.iter().find_map(|(maker, before, behind)| {
            let at = group.rfind(before)?;
            let rest = &group[at + before.len()..];
            let id = match *maker {
                // The pod comes first: `kubepods/burstable/podUID/ID`.
                "kubernetes" => group.rsplit('/').find(|part| is_id(part))?,
                "lxc" => rest.split('/').next().filter(|name| !name.is_empty())?,
                _ => {
                    let id = rest.split('/').next()?;
                    id.strip_suffix(behind).filter(|id| is_id(id))?
                }
            };
            Some(Self { maker, id: id.to_owned() })
        })
    }
}

fn is_id(text: &str) -> bool {
    text.len() >= ID_DIGITS_MIN && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::Container;

    #[test]
    fn groups_of_makers() {
        let id = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
        for (group, expect) in [
            (format!("/system.slice/docker-{id}.scope"), Some(("docker", id))),
            (format!("/docker/{id}"), Some(("docker", id))),
            (format!("/docker/{id}/init.scope"), Some(("docker", id))),
            (format!("/machine.slice/libpod-{id}.scope/container"), Some(("podman", id))),
            (
                format!("/kubepods.slice/kubepods-pod1_2.slice/cri-containerd-{id}.scope"),
                Some(("containerd", id)),
            ),
            (format!("/kubepods/burstable/pod12-34/{id}"), Some(("kubernetes", id))),
            ("/lxc.payload.mem/system.slice".to_owned(), Some(("lxc", "mem"))),
            ("/system.slice/docker.service".to_owned(), None),
            ("/system.slice/docker-x.scope".to_owned(), None),
            ("/kubepods".to_owned(), None),
            ("/".to_owned(), None),
            (String::new(), None),
        ] {
            let found = Container::of_group(&group);
            assert_eq!(found.as_ref().map(|one| (one.maker, one.id.as_str())), expect, "{group}");
        }
    }
}
