//! Several clauses of a rule that one event meets: the dump of one is the dump of the others.

use super::{
    DumpId, RuleId, RuleSet, SuppressReason,
    act::{Cause, ClauseRef},
};
use crate::Action;
use snapshot::{DumpKind, Time};

/// A dump that an event has set off.
#[derive(Debug)]
pub(super) struct TakenDump {
    pub(super) rule: RuleId,
    pub(super) id: DumpId,
    kinds: Vec<DumpKind>,
}

impl RuleSet {
    /// As [`act_if_allowed`](Self::act_if_allowed), for one of several clauses that an event meets. If a dump was
    /// requested for another one of the same rule that has what this one wants, it is this one's too.
    pub(super) fn act_once(
        &mut self,
        now: Time,
        clause_ref: ClauseRef,
        cause: Cause,
        taken: &mut Vec<TakenDump>,
    ) -> Result<(), SuppressReason> {
        let Some((_, clause)) = self.watch_mut(clause_ref) else {
            return Ok(());
        };
        let kinds = clause.action.kinds().to_vec();
        let is_repeated = clause.series.is_some();
        let has_all = |dump: &&TakenDump| {
            let same_rule = dump.rule == clause_ref.rule && !kinds.is_empty() && !is_repeated;
            same_rule && kinds.iter().all(|kind| dump.kinds.contains(kind))
        };
        if let Some(dump) = taken.iter().find(has_all) {
            return self.share_dump(now, clause_ref, &cause, dump.id);
        }
        let before = self.next_dump;
        let acted = self.act_if_allowed(now, clause_ref, cause);
        if self.next_dump > before {
            taken.push(TakenDump {
                rule: clause_ref.rule,
                id: DumpId(self.next_dump),
                kinds,
            });
        }
        acted
    }

    /// Counts a dump that was requested for another clause as this one's action too.
    fn share_dump(
        &mut self,
        now: Time,
        clause_ref: ClauseRef,
        cause: &Cause,
        id: DumpId,
    ) -> Result<(), SuppressReason> {
        let of_clause = Action::None;
        let asker = clause_ref.asker(cause.condition);
        let limit = self.rules[&clause_ref.rule].limit_reached(now, asker, &of_clause, false);
        if let Some(why) = limit {
            return Err(why);
        }
        self.count_action(clause_ref, cause);
        if let Some((watch, _)) = self.watch_mut(clause_ref) {
            watch.in_flight += 1;
        }
        if let Some(dump) = self.dumps.get_mut(&id) {
            dump.also.push(clause_ref);
        }
        Ok(())
    }
}
