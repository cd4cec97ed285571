//! The textbook loop of stochastic descent in f64: one rating after another,
//! the formulas written out element by element. Shares no code with the library.

use super::oracle::State;

/// Factors with their accumulators, which start from 1.
#[derive(Debug, Clone)]
pub struct Stochastic {
    pub state: State,
    pub eta: f64,
    pub adagrad: bool,
    /// λ of one visit, by user and by item.
    pub user_penalty: Vec<f64>,
    pub item_penalty: Vec<f64>,
    g_u: Vec<f64>,
    g_v: Vec<f64>,
    g_b: Vec<f64>,
    g_c: Vec<f64>,
}

impl Stochastic {
    pub fn new(
        state: State,
        eta: f64,
        adagrad: bool,
        user_penalty: Vec<f64>,
        item_penalty: Vec<f64>,
    ) -> Self {
        let (m, n) = (state.u.len(), state.v.len());
        Self {
            state,
            eta,
            adagrad,
            user_penalty,
            item_penalty,
            g_u: vec![1.0; m],
            g_v: vec![1.0; n],
            g_b: vec![1.0; m],
            g_c: vec![1.0; n],
        }
    }

    /// The objective of one rating y at (i, j), of which a step is the descent.
    pub fn objective(&self, i: usize, j: usize, y: f64) -> f64 {
        let s = &self.state;
        let size = |row: &[f64], bias: f64| row.iter().map(|x| x * x).sum::<f64>() + bias * bias;
        0.5 * (y - s.predict(i, j)).powi(2)
            + 0.5 * self.user_penalty[i] * size(&s.u[i], s.b[i])
            + 0.5 * self.item_penalty[j] * size(&s.v[j], s.c[j])
    }

    /// One step, both rows from their old values.
    pub fn visit(&mut self, i: usize, j: usize, y: f64) {
        let e = y - self.state.predict(i, j);
        let (l_u, l_v) = (self.user_penalty[i], self.item_penalty[j]);
        let (u, v) = (self.state.u[i].clone(), self.state.v[j].clone());
        let (b, c) = (self.state.b[i], self.state.c[j]);
        let k = u.len();
        let rate = |sum: f64| if self.adagrad { self.eta / sum.sqrt() } else { self.eta };
        let (mut norm_u, mut norm_v) = (0.0, 0.0);
        for f in 0..k {
            let grad_u = e * v[f] - l_u * u[f];
            let grad_v = e * u[f] - l_v * v[f];
            self.state.u[i][f] = u[f] + rate(self.g_u[i]) * grad_u;
            self.state.v[j][f] = v[f] + rate(self.g_v[j]) * grad_v;
            norm_u += grad_u * grad_u;
            norm_v += grad_v * grad_v;
        }
        if self.state.biased {
            let (grad_b, grad_c) = (e - l_u * b, e - l_v * c);
            self.g_b[i] += grad_b * grad_b;
            self.g_c[j] += grad_c * grad_c;
            self.state.b[i] = b + rate(self.g_b[i]) * grad_b;
            self.state.c[j] = c + rate(self.g_c[j]) * grad_c;
        }
        self.g_u[i] += norm_u / k as f64;
        self.g_v[j] += norm_v / k as f64;
    }

    /// The accumulators of the users' factors and biases, then the items'.
    pub fn accumulators(&self) -> [&[f64]; 4] {
        [&self.g_u, &self.g_b, &self.g_v, &self.g_c]
    }
}

/// A step with a constant rate is −η times the slope of the objective, by
/// finite differences; with Adagrad it is that over √G.
#[test]
fn a_visit_descends_the_objective_of_its_rating() {
    for biased in [false, true] {
        let state = State {
            u: vec![vec![0.3, -0.2, 0.8]],
            v: vec![vec![0.5, 0.1, -0.6]],
            b: vec![if biased { 0.4 } else { 0.0 }],
            c: vec![if biased { -0.1 } else { 0.0 }],
            biased,
        };
        let eta = 1e-3;
        let start = Stochastic::new(state, eta, false, vec![0.7], vec![0.3]);
        let (mut plain, mut adagrad) = (start.clone(), start.clone());
        adagrad.adagrad = true;
        plain.visit(0, 0, 1.5);
        adagrad.visit(0, 0, 1.5);
        let slope = |edit: &dyn Fn(&mut State, f64)| {
            let at = |shift: f64| {
                let mut moved = start.clone();
                edit(&mut moved.state, shift);
                moved.objective(0, 0, 1.5)
            };
            (at(1e-6) - at(-1e-6)) / 2e-6
        };
        for f in 0..3 {
            let (u, v) = (slope(&|s, x| s.u[0][f] += x), slope(&|s, x| s.v[0][f] += x));
            for run in [&plain, &adagrad] {
                // The accumulators of the factors are 1 at the first visit.
                assert!((run.state.u[0][f] - start.state.u[0][f] + eta * u).abs() < 1e-10);
                assert!((run.state.v[0][f] - start.state.v[0][f] + eta * v).abs() < 1e-10);
            }
        }
        if biased {
            let (b, c) = (slope(&|s, x| s.b[0] += x), slope(&|s, x| s.c[0] += x));
            let moved =
                |run: &Stochastic| (run.state.b[0] - start.state.b[0], run.state.c[0] - start.state.c[0]);
            assert!((moved(&plain).0 + eta * b).abs() < 1e-10 && (moved(&plain).1 + eta * c).abs() < 1e-10);
            let over = |slope: f64| eta * slope / (1.0 + slope * slope).sqrt();
            assert!((moved(&adagrad).0 + over(b)).abs() < 1e-9 && (moved(&adagrad).1 + over(c)).abs() < 1e-9);
        }
    }
}
