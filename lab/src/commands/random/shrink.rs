//! What is done with a difference: the sequence is played again alone, made as short as it can be while it
//! still differs, and written out as a script.

use std::time::Duration;

use lab::duel::{self, Account, Found};
use lab::random::Move;
use lab::write;

use super::round::Round;
use super::{ENOUGH, Totals};
use crate::commands::compare::show;

impl Round<'_> {
    pub(super) fn differs(
        &mut self,
        moves: &[Move],
        accounts: &[Account; 2],
    ) -> Result<(), String> {
        self.totals.differences += 1;
        let Totals {
            steps, differences, ..
        } = self.totals;
        println!("difference {differences} after {steps} packets:");
        if self.first {
            self.totals.differences = ENOUGH;
            show(accounts);
            return Ok(());
        }
        let (moves, accounts) = self.shrink(moves.to_vec(), accounts.clone())?;
        show(&accounts);
        let seen = self.accounts_of_the_kernel(&moves)?;
        let title = "What Linux does with a sequence that was found by chance.";
        let text = write::script(title, &self.knobs, &moves, &seen);
        let file = format!("found-{}-{}.trace", self.seed, self.totals.differences);
        let place = self.output.join(file);
        std::fs::write(&place, &text).map_err(|error| format!("{}: {error}", place.display()))?;
        println!("  written as {}", place.display());
        Ok(())
    }

    /// What the kernel makes of each packet of a sequence.
    fn accounts_of_the_kernel(&mut self, moves: &[Move]) -> Result<Vec<Account>, String> {
        self.forget(moves)?;
        let mut duel = self.duel()?;
        let mut seen = Vec::new();
        for step in moves {
            std::thread::sleep(Duration::from_nanos(step.wait));
            let account = duel
                .ask_kernel(step, self.linux)
                .map_err(|error| error.to_string())?;
            seen.push(account);
        }
        Ok(seen)
    }

    /// Leaves out packets and waits as long as the sequence still differs.
    fn shrink(
        &mut self,
        mut moves: Vec<Move>,
        mut accounts: [Account; 2],
    ) -> Result<(Vec<Move>, [Account; 2]), String> {
        let mut at = 0;
        while at < moves.len() {
            let mut shorter = moves.clone();
            shorter.remove(at);
            match self.replay(&shorter)? {
                Some((len, found)) => {
                    shorter.truncate(len);
                    moves = shorter;
                    accounts = found;
                }
                None => at += 1,
            }
        }
        for at in 0..moves.len() {
            let mut quicker = moves.clone();
            quicker[at].wait = 0;
            if moves[at].wait != 0
                && let Some((len, found)) = self.replay(&quicker)?
            {
                quicker.truncate(len);
                moves = quicker;
                accounts = found;
                if at >= moves.len() {
                    break;
                }
            }
        }
        Ok((moves, accounts))
    }

    /// Clears the kernel's table of what a sequence left in it.
    fn forget(&mut self, moves: &[Move]) -> Result<(), String> {
        for step in moves {
            for original in duel::originals(step) {
                self.linux
                    .delete(original, 0)
                    .map_err(|error| error.to_string())?;
            }
        }
        self.linux
            .forget_events()
            .map_err(|error| error.to_string())
    }

    /// Plays a sequence from its beginning; returns how far it got and the difference, if any.
    fn replay(&mut self, moves: &[Move]) -> Result<Option<(usize, [Account; 2])>, String> {
        self.forget(moves)?;
        self.replays += 1;
        let mut duel = self.duel()?;
        for (at, step) in moves.iter().enumerate() {
            std::thread::sleep(Duration::from_nanos(step.wait));
            let mut step = step.clone();
            // The kernel may still hold fragments of the last time.
            if let Some((_, _, id)) = &mut step.packet.fragment {
                *id = (*id + self.replays * 7919) & 0xffff;
            }
            match duel
                .play(&step, self.linux)
                .map_err(|error| error.to_string())?
            {
                Found::Same => {}
                Found::Unclear => return Ok(None),
                Found::Different(accounts) => return Ok(Some((at + 1, *accounts))),
            }
        }
        Ok(None)
    }
}
