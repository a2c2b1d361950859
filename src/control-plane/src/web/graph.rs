//! A workflow drawn: its jobs in columns behind those that they require, and lines between them.
//!
//! ```text
//! requires ──▶ depth: the column ──▶ the lines that say something ──▶ bends in the columns that a line crosses
//!                                       (not what others imply)         ──▶ rows, each near what it comes from ──▶ paths
//! ```

/// The width of a job's box.
pub(crate) const WIDTH: u32 = 190;
/// The height of a job's box.
pub(crate) const HEIGHT: u32 = 28;
/// Between the boxes of a column, and beside the outermost.
const GAP: u32 = 12;
/// Between the columns, where the lines bend.
const LANE: u32 = 46;
/// Larger workflows are told by their table alone.
const MOST: usize = 300;

/// Where everything stands, in pixels.
#[derive(Debug, PartialEq)]
pub(crate) struct Drawing {
    pub(crate) width: u32,
    pub(crate) height: u32,
    /// The upper left corner of each job's box, in the order of the jobs.
    pub(crate) boxes: Vec<(u32, u32)>,
    pub(crate) lines: Vec<Line>,
}

/// A line from one job to another that requires it.
#[derive(Debug, PartialEq)]
pub(crate) struct Line {
    pub(crate) from: usize,
    pub(crate) to: usize,
    /// An SVG path.
    pub(crate) path: String,
}

/// Draws jobs by the places of those that each requires. None: there is nothing to see, or too much.
pub(crate) fn drawing(requires: &[Vec<usize>]) -> Option<Drawing> {
    let worth = requires.len() <= MOST && requires.iter().any(|of| !of.is_empty());
    worth.then(|| Columns::of(requires).drawn())
}

/// What stands in a column: a job's box, or a point that a line passes through.
#[derive(Default)]
struct Stand {
    column: usize,
    row: u32,
    after: Vec<usize>,
}

/// The first stands are the jobs, the others bends.
struct Columns {
    jobs: usize,
    stands: Vec<Stand>,
    columns: Vec<Vec<usize>>,
    /// From job to job, with all that lies between.
    routes: Vec<Vec<usize>>,
}

impl Columns {
    fn of(requires: &[Vec<usize>]) -> Self {
        let depth = depths(requires);
        let stand = |column: &usize| Stand { column: *column, ..Stand::default() };
        let stands: Vec<_> = depth.iter().map(stand).collect();
        let mut columns = vec![Vec::new(); depth.iter().max().map_or(0, |most| most + 1)];
        depth.iter().enumerate().for_each(|(job, column)| columns[*column].push(job));
        let mut this = Self { jobs: stands.len(), stands, columns, routes: Vec::new() };
        for (to, of) in telling(requires, &depth).into_iter().enumerate() {
            of.into_iter().for_each(|from| this.connect(from, to));
        }
        this.arrange();
        this
    }

    fn connect(&mut self, from: usize, to: usize) {
        let mut route = vec![from];
        for column in self.stands[from].column + 1..self.stands[to].column {
            let bend = self.stands.len();
            self.stands.push(Stand { column, row: 0, after: vec![route[route.len() - 1]] });
            self.columns[column].push(bend);
            route.push(bend);
        }
        self.stands[to].after.push(route[route.len() - 1]);
        route.push(to);
        self.routes.push(route);
    }

    /// Column by column, each as near to what it comes after as those above it leave it.
    fn arrange(&mut self) {
        for column in 0..self.columns.len() {
            let mut wanted: Vec<(u32, usize)> =
                self.columns[column].iter().map(|stand| (self.wish(*stand), *stand)).collect();
            wanted.sort_unstable();
            let mut free = 0;
            for (wish, stand) in &wanted {
                self.stands[*stand].row = free.max(*wish);
                free = self.stands[*stand].row + HEIGHT + GAP;
            }
        }
    }

    /// The middle of what it comes after; the first column stands in the order of the configuration.
    fn wish(&self, stand: usize) -> u32 {
        let after = &self.stands[stand].after;
        let rows = || after.iter().map(|before| self.stands[*before].row);
        rows().min().zip(rows().max()).map_or(0, |(least, most)| least.midpoint(most))
    }

    fn drawn(&self) -> Drawing {
        let columns = u32::try_from(self.columns.len()).unwrap_or(u32::MAX);
        let lowest = self.stands.iter().map(|stand| stand.row).max().unwrap_or_default();
        Drawing {
            width: GAP * 2 + columns * (WIDTH + LANE) - LANE,
            height: GAP * 2 + lowest + HEIGHT,
            boxes: (0..self.jobs).map(|job| self.corner(job)).collect(),
            lines: self.routes.iter().map(|route| self.line(route)).collect(),
        }
    }

    fn corner(&self, stand: usize) -> (u32, u32) {
        let column = u32::try_from(self.stands[stand].column).unwrap_or(u32::MAX);
        (GAP + column * (WIDTH + LANE), GAP + self.stands[stand].row)
    }

    /// From the right side of the first through all bends to the left side of the last.
    fn line(&self, route: &[usize]) -> Line {
        let middle = |stand: &usize| (self.corner(*stand).0, self.corner(*stand).1 + HEIGHT / 2);
        let (first, rest) = route.split_first().expect("a route has two ends");
        let (x, mut y) = middle(first);
        let mut path = format!("M{} {y}", x + WIDTH);
        for (at, stand) in rest.iter().enumerate() {
            let (x, next) = middle(stand);
            let half = x - LANE / 2;
            path += &format!("C{half} {y} {half} {next} {x} {next}");
            // A bend is crossed in its whole width.
            if at + 1 < rest.len() {
                path += &format!("H{}", x + WIDTH);
            }
            y = next;
        }
        Line { from: *first, to: rest[rest.len() - 1], path }
    }
}

/// How many jobs are before each at most. The compiler lets no circle through; one would end here all the same.
fn depths(requires: &[Vec<usize>]) -> Vec<usize> {
    let mut depth = vec![0; requires.len()];
    for _ in 0..requires.len() {
        let deeper = |of: &Vec<usize>| of.iter().map(|before| depth[*before] + 1).max().unwrap_or(0);
        let next: Vec<_> = requires.iter().map(deeper).collect();
        if next == depth {
            break;
        }
        depth = next;
    }
    depth
}

/// What each requires, without what one of the others requires already.
fn telling(requires: &[Vec<usize>], depth: &[usize]) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..requires.len()).collect();
    order.sort_by_key(|job| depth[*job]);
    let mut before = vec![vec![false; requires.len()]; requires.len()];
    let mut telling = vec![Vec::new(); requires.len()];
    for job in order {
        let implied: Vec<bool> =
            (0..requires.len()).map(|other| requires[job].iter().any(|of| before[*of][other])).collect();
        // Those of the same column or a later one are only there in a circle.
        let kept = |of: &&usize| !implied[**of] && depth[**of] < depth[job];
        telling[job] = requires[job].iter().filter(kept).copied().collect();
        before[job] = implied;
        requires[job].iter().for_each(|of| before[job][*of] = true);
    }
    telling
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_diamond_has_three_columns_and_no_line_that_others_imply() {
        let drawing = drawing(&[vec![], vec![0], vec![0], vec![1, 2, 0]]).unwrap();
        let column = |place: u32| GAP + place * (WIDTH + LANE);
        let columns: Vec<_> = drawing.boxes.iter().map(|(x, _)| *x).collect();
        assert_eq!(columns, [column(0), column(1), column(1), column(2)]);
        let lines: Vec<_> = drawing.lines.iter().map(|line| (line.from, line.to)).collect();
        assert_eq!(lines, [(0, 1), (0, 2), (1, 3), (2, 3)]);
        assert_eq!(drawing.lines[0].path, "M202 26C225 26 225 26 248 26");
    }

    #[test]
    fn a_line_over_a_column_passes_beside_its_boxes() {
        let drawing = drawing(&[vec![], vec![0], vec![1], vec![], vec![2, 3]]).unwrap();
        let over = drawing.lines.iter().find(|line| line.from == 3).unwrap();
        assert_eq!(over.path.matches('H').count(), 2, "{}", over.path);
    }

    #[test]
    fn what_has_no_lines_or_too_many_boxes_is_not_drawn() {
        assert_eq!(drawing(&[]), None);
        assert_eq!(drawing(&[vec![], vec![]]), None);
        let chain: Vec<_> = (0..=MOST).map(|at| at.checked_sub(1).into_iter().collect()).collect();
        assert_eq!(drawing(&chain), None);
    }

    fn graphs() -> impl Strategy<Value = Vec<Vec<usize>>> {
        (2..25_usize).prop_flat_map(|jobs| {
            let of = |job: usize| prop::collection::btree_set(0..job.max(1), 0..=job.min(3));
            let before = |of: BTreeSet<usize>| of.into_iter().collect::<Vec<_>>();
            let all: Vec<_> = (0..jobs).map(|job| of(job).prop_map(before)).collect();
            all.prop_map(|mut all| {
                all[0].clear();
                all
            })
        })
    }

    proptest! {
        #[test]
        fn no_box_lies_on_another_and_every_one_behind_what_it_requires(requires in graphs()) {
            let Some(drawing) = drawing(&requires) else { return Ok(()) };
            for (job, (x, y)) in drawing.boxes.iter().enumerate() {
                prop_assert!(x + WIDTH <= drawing.width && y + HEIGHT <= drawing.height);
                let apart = |other: &(u32, u32)| other.0 != *x || other.1.abs_diff(*y) >= HEIGHT;
                prop_assert!(drawing.boxes[..job].iter().all(apart));
                prop_assert!(requires[job].iter().all(|of| drawing.boxes[*of].0 < *x));
            }
        }

        #[test]
        fn the_lines_lead_from_each_job_to_all_that_require_it(requires in graphs()) {
            let lines = drawing(&requires).map(|drawing| drawing.lines).unwrap_or_default();
            let mut led = vec![BTreeSet::new(); requires.len()];
            for job in 0..requires.len() {
                for line in lines.iter().filter(|line| line.to == job) {
                    let further = led[line.from].clone();
                    led[job].extend(further);
                    led[job].insert(line.from);
                }
                prop_assert!(requires[job].iter().all(|of| led[job].contains(of)));
            }
        }
    }
}
