//! Some of the flows: those that a finding is about.

use std::rc::Rc;

use crate::rank::Column;
use crate::rows::{Rows, View};

/// The entries, and behind them the refused packets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flows<'a> {
    pub(crate) table: &'a Rows,
    pub(crate) strays: Option<&'a Rows>,
}

impl<'a> Flows<'a> {
    pub(crate) fn iter(self) -> impl Iterator<Item = View<'a>> + Clone {
        self.table
            .iter()
            .chain(self.strays.into_iter().flat_map(Rows::iter))
    }

    pub(crate) fn len(self) -> usize {
        self.table.kept() + self.strays.map_or(0, Rows::kept)
    }

    pub(crate) fn view(self, place: u32) -> Option<View<'a>> {
        let place = place as usize;
        match place.checked_sub(self.table.kept()) {
            None => self.table.view(place),
            Some(place) => self.strays?.view(place),
        }
    }

    /// The places of those of a kind.
    pub(crate) fn places(self, kind: impl Fn(&View<'a>) -> bool) -> Vec<u32> {
        let places = self.iter().enumerate().filter(|(_, row)| kind(row));
        places.map(|(place, _)| place as u32).collect()
    }
}

/// All flows, or those at some places.
#[derive(Clone, Debug)]
pub(crate) struct Picked<'a> {
    flows: Flows<'a>,
    places: Option<Rc<Vec<u32>>>,
}

impl<'a> Picked<'a> {
    /// All of them.
    pub(crate) fn all(table: &'a Rows) -> Picked<'a> {
        let flows = Flows {
            table,
            strays: None,
        };
        Picked {
            flows,
            places: None,
        }
    }

    /// Those at some places.
    pub(crate) fn of(flows: Flows<'a>, places: Rc<Vec<u32>>) -> Picked<'a> {
        Picked {
            flows,
            places: Some(places),
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = View<'a>> + Clone {
        let flows = self.flows;
        let all = self.places.is_none().then(|| flows.iter());
        let some = self.places.iter().flat_map(|places| places.iter());
        let some = some.filter_map(move |place| flows.view(*place));
        all.into_iter().flatten().chain(some)
    }

    /// How many flows each stands for, and in all.
    pub(crate) fn weight(&self) -> f64 {
        self.flows.table.weight()
    }

    pub(crate) fn len(&self) -> u64 {
        let kept = match &self.places {
            None => self.flows.table.kept(),
            Some(places) => places.len(),
        };
        (kept as f64 * self.weight()).round() as u64
    }

    /// The n-th of them, in the order of `iter`.
    pub(crate) fn nth(&self, n: u32) -> Option<View<'a>> {
        match &self.places {
            None => self.flows.view(n),
            Some(places) => self.flows.view(*places.get(n as usize)?),
        }
    }

    /// Which of them have which of some keys, found in one pass: numbers for `nth`, for each key.
    pub(crate) fn members(&self, keys: &[u64], key: impl Fn(&View<'a>) -> u64) -> Vec<Vec<u32>> {
        let mut members = vec![Vec::new(); keys.len()];
        self.each_with(keys, key, |place, n, _| members[place].push(n));
        members
    }

    /// Something of those that have one of some keys, for each key.
    pub(crate) fn columns(
        &self,
        keys: &[u64],
        key: impl Fn(&View<'a>) -> u64,
        value: impl Fn(&View<'a>) -> u64,
    ) -> Vec<Column> {
        let mut columns: Vec<Column> = keys.iter().map(|_| Column::default()).collect();
        self.each_with(keys, key, |place, _, row| columns[place].push(value(&row)));
        columns
    }

    /// Hands over those that have one of some keys: the key's place among them, the number for `nth`, the flow.
    fn each_with(
        &self,
        keys: &[u64],
        key: impl Fn(&View<'a>) -> u64,
        mut each: impl FnMut(usize, u32, View<'a>),
    ) {
        let mut sorted: Vec<(u64, usize)> = keys.iter().copied().zip(0..).collect();
        sorted.sort_unstable();
        // Most rows have another key, which one bit tells of nearly all of them.
        let bit = |key: u64| 1_u64 << (key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 58);
        let known = keys.iter().fold(0, |known, key| known | bit(*key));
        let mut n = 0;
        self.iter().for_each(|row| {
            let wanted = key(&row);
            if known & bit(wanted) != 0
                && let Ok(found) = sorted.binary_search_by_key(&wanted, |(key, _)| *key)
            {
                each(sorted[found].1, n, row);
            }
            n += 1;
        });
    }
}
