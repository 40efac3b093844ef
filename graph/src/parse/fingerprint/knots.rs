//! Groups of facts that all reach each other, each behind what it reaches: Tarjan's algorithm, without recursion,
//! since a chain of helpers may be as long as a file.

/// The knots of a graph; most hold one member.
pub(super) struct Knots {
    /// By vertex: its knot.
    pub of: Vec<u32>,
    /// By knot: its members. What a knot reaches has a lower number.
    pub members: Vec<Vec<u32>>,
    /// By knot: whether its members reach themselves.
    pub is_knot: Vec<bool>,
}

const UNSEEN: u32 = u32::MAX;

/// Finds the knots of a graph given by its outgoing edges (R. Tarjan, Depth-first search and linear graph
/// algorithms, 1972).
pub(super) fn knots(edges: &[Vec<u32>]) -> Knots {
    let count = edges.len();
    let mut knots = Knots { of: vec![UNSEEN; count], members: Vec::new(), is_knot: Vec::new() };
    let (mut order, mut low) = (vec![UNSEEN; count], vec![0u32; count]);
    let mut next = 0u32;
    let mut open: Vec<u32> = Vec::new();
    // Vertices that are being left and entered, each with the next of its edges.
    let mut path: Vec<(u32, u32)> = Vec::new();
    for start in 0..count as u32 {
        if order[start as usize] != UNSEEN {
            continue;
        }
        path.push((start, 0));
        while let Some((vertex, edge)) = path.pop() {
            let at = vertex as usize;
            if edge == 0 {
                (order[at], low[at]) = (next, next);
                next += 1;
                open.push(vertex);
            }
            let mut edge = edge as usize;
            let mut entered = None;
            while let Some(&to) = edges[at].get(edge) {
                edge += 1;
                if order[to as usize] == UNSEEN {
                    entered = Some(to);
                    break;
                }
                // Still open: it reaches this vertex.
                if knots.of[to as usize] == UNSEEN {
                    low[at] = low[at].min(order[to as usize]);
                }
            }
            if let Some(to) = entered {
                path.push((vertex, edge as u32));
                path.push((to, 0));
                continue;
            }
            if low[at] == order[at] {
                close(vertex, edges, &mut open, &mut knots);
            }
            if let Some((before, _)) = path.last() {
                low[*before as usize] = low[*before as usize].min(low[at]);
            }
        }
    }
    knots
}

fn close(root: u32, edges: &[Vec<u32>], open: &mut Vec<u32>, knots: &mut Knots) {
    let number = knots.members.len() as u32;
    let mut members = Vec::new();
    while let Some(vertex) = open.pop() {
        knots.of[vertex as usize] = number;
        members.push(vertex);
        if vertex == root {
            break;
        }
    }
    knots.is_knot.push(members.len() > 1 || edges[root as usize].contains(&root));
    knots.members.push(members);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_reached_comes_first_and_loops_are_one() {
        // 0 -> 1 -> 2 -> 1, 2 -> 3, 4 -> 4
        let knots = knots(&[vec![1], vec![2], vec![1, 3], vec![], vec![4]]);
        assert_eq!(knots.of[1], knots.of[2]);
        assert!(knots.of[3] < knots.of[1] && knots.of[1] < knots.of[0]);
        let is_knot: Vec<bool> = (0..5).map(|it| knots.is_knot[knots.of[it] as usize]).collect();
        assert_eq!(is_knot, [false, true, true, false, true]);
    }

    #[test]
    fn a_long_chain_needs_no_stack() {
        let mut edges: Vec<Vec<u32>> = (1..200_000).map(|it| vec![it]).collect();
        edges.push(Vec::new());
        assert_eq!(knots(&edges).members.len(), 200_000);
    }
}
