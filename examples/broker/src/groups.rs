//! The group coordinator: who is a member, in which generation, and how far each partition has been read.
//!
//! Members choose partitions among themselves; the coordinator only passes their words on (the classic protocol).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::errors::{self, Code};

pub(crate) type TopicPartition = (String, i32);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Committed {
    pub(crate) offset: i64,
    pub(crate) metadata: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Empty,
    /// Members are to join again.
    Joining {
        until: Instant,
        /// Not before then: others may come.
        not_before: Instant,
    },
    /// The leader is to say who gets what.
    Syncing,
    Stable,
}

#[derive(Clone, Debug)]
struct Member {
    protocols: Vec<(String, Bytes)>,
    session_timeout: Duration,
    rebalance_timeout: Duration,
    seen: Instant,
    has_joined: bool,
    assignment: Bytes,
}

#[derive(Debug, Default)]
pub(crate) struct Group {
    phase: Phase,
    generation: i32,
    protocol_type: String,
    protocol: String,
    leader: String,
    members: BTreeMap<String, Member>,
    /// Ids that were given out and not used yet.
    promised: BTreeSet<String>,
    pub(crate) offsets: HashMap<TopicPartition, Committed>,
}

/// The request of a member that joins.
#[derive(Debug)]
pub(crate) struct Join {
    pub(crate) member: String,
    pub(crate) client: String,
    pub(crate) needs_id: bool,
    pub(crate) session_timeout: Duration,
    pub(crate) rebalance_timeout: Duration,
    pub(crate) protocol_type: String,
    pub(crate) protocols: Vec<(String, Bytes)>,
}

/// The answer to a member when all have joined.
#[derive(Debug)]
pub(crate) struct Joined {
    pub(crate) generation: i32,
    pub(crate) protocol: String,
    pub(crate) leader: String,
    pub(crate) member: String,
    /// For the leader alone.
    pub(crate) members: Vec<(String, Bytes)>,
}

/// How long the first member waits for others.
const FIRST_WAIT: Duration = Duration::from_millis(100);

impl Group {
    /// Takes a member in. It then waits for [`joined`](Self::joined). An error carries the id that the member is to use.
    pub(crate) fn join(&mut self, join: Join, now: Instant) -> Result<String, (Code, String)> {
        let Join { mut member, client, needs_id, session_timeout, rebalance_timeout, protocol_type, protocols } = join;
        let others = || self.members.iter().filter(|(id, _)| **id != member).map(|(_, of)| of);
        let all_have = |name: &str| others().all(|of| of.protocols.iter().any(|(known, _)| known == name));
        let has_common = protocol_type == self.protocol_type && protocols.iter().any(|(name, _)| all_have(name));
        if others().next().is_some() && !has_common {
            return Err((errors::INCONSISTENT_GROUP_PROTOCOL, member));
        }
        if member.is_empty() {
            member = format!("{client}-{:016x}", RandomState::new().hash_one(())); // another one after a restart, too
            if needs_id {
                self.promised.insert(member.clone());
                return Err((errors::MEMBER_ID_REQUIRED, member));
            }
        } else if !self.promised.remove(&member) && !self.members.contains_key(&member) {
            return Err((errors::UNKNOWN_MEMBER_ID, member));
        }
        self.protocol_type = protocol_type;
        let known = self.members.get(&member);
        let is_same = known.is_some_and(|known| known.protocols == protocols);
        let assignment = known.map_or_else(Bytes::new, |known| known.assignment.clone());
        let must_rebalance = !(self.phase == Phase::Stable && is_same && self.leader != member);
        let entry =
            Member { protocols, session_timeout, rebalance_timeout, seen: now, has_joined: must_rebalance, assignment };
        self.members.insert(member.clone(), entry);
        if must_rebalance {
            self.rebalance(now);
        }
        self.check(now);
        Ok(member)
    }

    fn rebalance(&mut self, now: Instant) {
        if !matches!(self.phase, Phase::Joining { .. }) {
            let longest = self.members.values().map(|member| member.rebalance_timeout).max().unwrap_or_default();
            let wait = if self.phase == Phase::Empty { FIRST_WAIT } else { Duration::ZERO };
            self.phase = Phase::Joining { until: now + longest, not_before: now + wait };
        }
    }

    /// Expires members, and ends the joining when all have joined or the time for it is over.
    pub(crate) fn check(&mut self, now: Instant) {
        let before = self.members.len();
        let is_joining = matches!(self.phase, Phase::Joining { .. });
        self.members.retain(|_, member| {
            let is_waiting = is_joining && member.has_joined;
            is_waiting || now.duration_since(member.seen) < member.session_timeout
        });
        if self.members.len() < before {
            self.rebalance(now);
        }
        if let Phase::Joining { until, not_before } = self.phase {
            let all = self.members.values().all(|member| member.has_joined);
            if now >= not_before && (all || now >= until) {
                self.begin_generation(now);
            }
        }
    }

    fn begin_generation(&mut self, now: Instant) {
        self.members.retain(|_, member| member.has_joined);
        self.generation += 1;
        let Some((first, of_first)) = self.members.first_key_value() else {
            self.phase = Phase::Empty;
            return;
        };
        if !self.members.contains_key(&self.leader) {
            self.leader = first.clone();
        }
        let all_have = |name: &str| self.members.values().all(|of| of.protocols.iter().any(|(known, _)| known == name));
        let common = of_first.protocols.iter().map(|(name, _)| name).find(|name| all_have(name));
        self.protocol = common.cloned().unwrap_or_default();
        self.phase = Phase::Syncing;
        for member in self.members.values_mut() {
            (member.has_joined, member.seen, member.assignment) = (false, now, Bytes::new());
        }
    }

    /// Nothing while others have not joined yet.
    pub(crate) fn joined(&self, member: &str) -> Option<Result<Joined, Code>> {
        let Some(known) = self.members.get(member) else { return Some(Err(errors::UNKNOWN_MEMBER_ID)) };
        if known.has_joined {
            return None;
        }
        let words = |of: &Member| of.protocols.iter().find(|(name, _)| *name == self.protocol).map(|(_, w)| w.clone());
        let members = match self.leader == member {
            true => self.members.iter().map(|(id, of)| (id.clone(), words(of).unwrap_or_default())).collect(),
            false => Vec::new(),
        };
        Some(Ok(Joined {
            generation: self.generation,
            protocol: self.protocol.clone(),
            leader: self.leader.clone(),
            member: member.to_owned(),
            members,
        }))
    }

    /// Takes the leader's decision, and marks the member as alive. It then waits for [`assignment`](Self::assignment).
    pub(crate) fn sync(&mut self, member: &str, generation: i32, all: Vec<(String, Bytes)>, now: Instant) -> Code {
        let code = self.see(member, generation, now);
        if code != errors::NONE {
            return code;
        }
        if self.leader == member && self.phase == Phase::Syncing {
            for (id, assignment) in all {
                if let Some(member) = self.members.get_mut(&id) {
                    member.assignment = assignment;
                }
            }
            self.phase = Phase::Stable;
        }
        errors::NONE
    }

    /// Nothing while the leader has not decided.
    pub(crate) fn assignment(&self, member: &str, generation: i32) -> Option<Result<Bytes, Code>> {
        match self.check_member(member, generation) {
            errors::NONE => match self.phase {
                Phase::Syncing => None,
                Phase::Stable => self.members.get(member).map(|member| Ok(member.assignment.clone())),
                Phase::Joining { .. } | Phase::Empty => Some(Err(errors::REBALANCE_IN_PROGRESS)),
            },
            code => Some(Err(code)),
        }
    }

    fn check_member(&self, member: &str, generation: i32) -> Code {
        match self.members.contains_key(member) {
            false => errors::UNKNOWN_MEMBER_ID,
            true if generation != self.generation => errors::ILLEGAL_GENERATION,
            true => errors::NONE,
        }
    }

    fn see(&mut self, member: &str, generation: i32, now: Instant) -> Code {
        let code = self.check_member(member, generation);
        if let (errors::NONE, Some(member)) = (code, self.members.get_mut(member)) {
            member.seen = now;
        }
        code
    }

    pub(crate) fn heartbeat(&mut self, member: &str, generation: i32, now: Instant) -> Code {
        self.check(now);
        match (self.see(member, generation, now), self.phase) {
            (errors::NONE, Phase::Joining { .. }) => errors::REBALANCE_IN_PROGRESS,
            (code, _) => code,
        }
    }

    pub(crate) fn leave(&mut self, member: &str, now: Instant) -> Code {
        if self.members.remove(member).is_none() {
            return errors::UNKNOWN_MEMBER_ID;
        }
        self.rebalance(now);
        self.check(now);
        errors::NONE
    }

    /// Whether this member may commit offsets. Whoever names no group generation is no member, and may.
    pub(crate) fn may_commit(&mut self, member: &str, generation: i32, now: Instant) -> Code {
        self.check(now);
        if generation < 0 && member.is_empty() { errors::NONE } else { self.check_member(member, generation) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn join(group: &mut Group, member: &str, now: Instant) -> Result<String, (Code, String)> {
        let protocols = vec![("range".to_owned(), Bytes::new())];
        let (member, client, protocol_type) = (member.to_owned(), "c".to_owned(), "consumer".to_owned());
        let (session_timeout, rebalance_timeout) = (SECOND, 3 * SECOND);
        let join =
            Join { member, client, needs_id: false, session_timeout, rebalance_timeout, protocol_type, protocols };
        group.join(join, now)
    }

    /// The group after a member has joined and synchronised, and its id.
    fn stable(now: Instant) -> (Group, String) {
        let mut group = Group::default();
        let first = join(&mut group, "", now).unwrap();
        assert!(group.joined(&first).is_none(), "others may come");
        group.check(now + FIRST_WAIT);
        assert_eq!(group.joined(&first).unwrap().unwrap().generation, 1);
        assert_eq!(group.sync(&first, 1, vec![(first.clone(), Bytes::from_static(b"all"))], now), errors::NONE);
        assert_eq!(group.assignment(&first, 1), Some(Ok(Bytes::from_static(b"all"))));
        (group, first)
    }

    #[test]
    fn a_silent_member_loses_its_place() {
        let now = Instant::now();
        let (mut group, first) = stable(now);
        let begin = now + FIRST_WAIT;
        assert_eq!(group.heartbeat(&first, 1, begin + SECOND / 2), errors::NONE);
        assert_eq!(group.heartbeat(&first, 1, begin + 2 * SECOND), errors::UNKNOWN_MEMBER_ID);
        assert_eq!(group.may_commit(&first, 1, begin + 2 * SECOND), errors::UNKNOWN_MEMBER_ID);
    }

    #[test]
    fn a_generation_begins_when_all_have_joined() {
        let now = Instant::now();
        let (mut group, first) = stable(now);
        let second = join(&mut group, "", now).unwrap();
        assert!(group.joined(&second).is_none());
        assert_eq!(group.heartbeat(&first, 1, now), errors::REBALANCE_IN_PROGRESS);
        assert_eq!(group.may_commit(&first, 1, now), errors::NONE, "until the next generation begins");
        join(&mut group, &first, now).unwrap();
        assert_eq!(group.joined(&second).unwrap().unwrap().generation, 2);
        assert_eq!(group.may_commit(&first, 1, now), errors::ILLEGAL_GENERATION);
        assert_eq!(group.leave(&second, now), errors::NONE);
        assert_eq!(group.heartbeat(&first, 2, now), errors::REBALANCE_IN_PROGRESS);
    }
}
