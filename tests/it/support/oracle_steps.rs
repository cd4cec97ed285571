//! The independent references of momentum, Adam and alternating least squares:
//! dense f64, the papers' formulas written out, sharing no code with the library.

use super::oracle::{Dense, Objective, State, penalty};

/// What is descended.
#[derive(Debug, Clone, Copy)]
pub struct Loss<'a> {
    pub data: &'a Dense,
    pub objective: Objective,
    pub lambda: f64,
    pub scaling: &'a str,
}

impl State {
    /// All weights in a row: U, V and, where there are biases, b and c.
    pub fn weights(&self) -> Vec<f64> {
        let mut all = self.flat_u();
        all.extend(self.flat_v());
        if self.biased {
            all.extend(&self.b);
            all.extend(&self.c);
        }
        all
    }

    fn set_weights(&mut self, weights: &[f64]) {
        let mut next = weights.iter().copied();
        let biases =
            if self.biased { [&mut self.b, &mut self.c] } else { [&mut Vec::new(), &mut Vec::new()] };
        let all = self.u.iter_mut().chain(&mut self.v).chain(biases).flatten();
        all.for_each(|w| *w = next.next().unwrap());
        assert_eq!(next.next(), None);
    }

    /// −∂E/∂w of every weight, in the order of [`State::weights`].
    pub fn descent(&self, loss: &Loss<'_>) -> Vec<f64> {
        let data = loss.data;
        let factor = match loss.objective {
            Objective::Mean => 2.0 / data.count() as f64,
            Objective::Sum => 1.0,
        };
        let k = self.u[0].len();
        let rows = |i: usize| (0..data.n).filter(move |&j| data.r[i][j]);
        let columns = |j: usize| (0..data.m).filter(move |&i| data.r[i][j]);
        let error = |i: usize, j: usize| data.y[i][j] - self.predict(i, j);
        let mut all = Vec::new();
        for i in 0..data.m {
            let l = penalty(loss.scaling, loss.lambda, rows(i).count());
            for f in 0..k {
                let sum: f64 = rows(i).map(|j| error(i, j) * self.v[j][f]).sum();
                all.push(factor * (sum - l * self.u[i][f]));
            }
        }
        for j in 0..data.n {
            let l = penalty(loss.scaling, loss.lambda, columns(j).count());
            for f in 0..k {
                let sum: f64 = columns(j).map(|i| error(i, j) * self.u[i][f]).sum();
                all.push(factor * (sum - l * self.v[j][f]));
            }
        }
        if self.biased {
            for i in 0..data.m {
                let l = penalty(loss.scaling, loss.lambda, rows(i).count());
                all.push(factor * (rows(i).map(|j| error(i, j)).sum::<f64>() - l * self.b[i]));
            }
            for j in 0..data.n {
                let l = penalty(loss.scaling, loss.lambda, columns(j).count());
                all.push(factor * (columns(j).map(|i| error(i, j)).sum::<f64>() - l * self.c[j]));
            }
        }
        all
    }

    /// Heavy ball as Polyak has it: w_{t+1} = w_t + η·g(w_t) + β·(w_t − w_{t−1}).
    /// `rates`: η of each epoch.
    pub fn heavy_ball(&mut self, loss: &Loss<'_>, rates: &[f64], beta: f64) {
        let mut before = self.weights();
        for eta in rates {
            let (now, g) = (self.weights(), self.descent(loss));
            let next: Vec<f64> =
                (0..now.len()).map(|e| now[e] + eta * g[e] + beta * (now[e] - before[e])).collect();
            self.set_weights(&next);
            before = now;
        }
    }

    /// Nesterov as Sutskever et al. have it: v ← βv + η·g(w + βv); w ← w + v.
    /// Ends at the look-ahead point w + βv. `rates`: η of each epoch.
    pub fn nesterov(&mut self, loss: &Loss<'_>, rates: &[f64], beta: f64) {
        let mut w = self.weights();
        let mut v = vec![0.0; w.len()];
        for eta in rates {
            let ahead: Vec<f64> = w.iter().zip(&v).map(|(w, v)| w + beta * v).collect();
            self.set_weights(&ahead);
            let g = self.descent(loss);
            for e in 0..w.len() {
                v[e] = beta * v[e] + eta * g[e];
                w[e] += v[e];
            }
        }
        let ahead: Vec<f64> = w.iter().zip(&v).map(|(w, v)| w + beta * v).collect();
        self.set_weights(&ahead);
    }

    /// Algorithm 1 of Kingma & Ba. `rates`: η of each epoch.
    pub fn adam(&mut self, loss: &Loss<'_>, rates: &[f64], beta1: f64, beta2: f64, epsilon: f64) {
        let mut w = self.weights();
        let (mut m, mut v) = (vec![0.0; w.len()], vec![0.0; w.len()]);
        for (t, eta) in rates.iter().enumerate() {
            let t = t as i32 + 1;
            let g = self.descent(loss);
            for e in 0..w.len() {
                m[e] = beta1 * m[e] + (1.0 - beta1) * g[e];
                v[e] = beta2 * v[e] + (1.0 - beta2) * g[e] * g[e];
                let m_hat = m[e] / (1.0 - beta1.powi(t));
                let v_hat = v[e] / (1.0 - beta2.powi(t));
                w[e] += eta * m_hat / (v_hat.sqrt() + epsilon);
            }
            self.set_weights(&w);
        }
    }

    /// One epoch of alternating least squares: users, then items with the new users.
    pub fn alternate(&mut self, loss: &Loss<'_>) {
        let data = loss.data;
        let with_one = |x: &[f64], biased: bool| {
            let mut x = x.to_vec();
            x.extend(biased.then_some(1.0));
            x
        };
        for i in 0..data.m {
            let cells: Vec<(Vec<f64>, f64)> = (0..data.n)
                .filter(|&j| data.r[i][j])
                .map(|j| (with_one(&self.v[j], self.biased), data.y[i][j] - self.c[j]))
                .collect();
            if !cells.is_empty() {
                let mut w = least_squares(&cells, penalty(loss.scaling, loss.lambda, cells.len()));
                self.b[i] = if self.biased { w.pop().unwrap() } else { 0.0 };
                self.u[i] = w;
            }
        }
        for j in 0..data.n {
            let cells: Vec<(Vec<f64>, f64)> = (0..data.m)
                .filter(|&i| data.r[i][j])
                .map(|i| (with_one(&self.u[i], self.biased), data.y[i][j] - self.b[i]))
                .collect();
            if !cells.is_empty() {
                let mut w = least_squares(&cells, penalty(loss.scaling, loss.lambda, cells.len()));
                self.c[j] = if self.biased { w.pop().unwrap() } else { 0.0 };
                self.v[j] = w;
            }
        }
    }
}

/// The w that minimises Σ (y − w·x)² + λ‖w‖².
pub fn least_squares(cells: &[(Vec<f64>, f64)], lambda: f64) -> Vec<f64> {
    let k = cells[0].0.len();
    let mut system = vec![vec![0.0; k + 1]; k];
    for (a, row) in system.iter_mut().enumerate() {
        for b in 0..k {
            row[b] = cells.iter().map(|(x, _)| x[a] * x[b]).sum();
        }
        row[a] += lambda;
        row[k] = cells.iter().map(|(x, y)| x[a] * y).sum();
    }
    solve(system)
}

/// Gaussian elimination with row exchanges; the last column is the right-hand side.
pub fn solve(mut system: Vec<Vec<f64>>) -> Vec<f64> {
    let k = system.len();
    for step in 0..k {
        let pivot =
            (step..k).max_by(|&a, &b| system[a][step].abs().total_cmp(&system[b][step].abs())).unwrap();
        system.swap(step, pivot);
        assert!(system[step][step] != 0.0, "a singular system");
        let above = system[step].clone();
        for row in &mut system[step + 1..] {
            let ratio = row[step] / above[step];
            for c in step..=k {
                row[c] -= ratio * above[c];
            }
        }
    }
    let mut w = vec![0.0; k];
    for a in (0..k).rev() {
        let known: f64 = (a + 1..k).map(|b| system[a][b] * w[b]).sum();
        w[a] = (system[a][k] - known) / system[a][a];
    }
    w
}

/// The rate of epoch t of T, as the manual defines the schedules.
pub fn scheduled(rate: f64, schedule: &str, epochs: u32) -> Vec<f64> {
    (1..=epochs)
        .map(|t| {
            let done = f64::from(t - 1) / f64::from(epochs);
            match schedule {
                "constant" => rate,
                "linear" => rate * (1.0 - done),
                "cosine" => rate * (1.0 + (std::f64::consts::PI * done).cos()) / 2.0,
                other => panic!("{other}"),
            }
        })
        .collect()
}

/// The descent is the step of the reference that finite differences vouch for.
#[test]
fn both_references_have_one_gradient() {
    let mut start = State {
        u: vec![vec![0.3, -0.2], vec![0.1, 0.4], vec![0.7, 0.2]],
        v: vec![vec![0.5, 0.1], vec![-0.3, 0.2]],
        b: vec![0.1, -0.2, 0.3],
        c: vec![0.2, 0.1],
        biased: true,
    };
    let data = Dense {
        m: 3,
        n: 2,
        y: vec![vec![1.0, 2.0], vec![0.5, 0.0], vec![0.0; 2]],
        r: vec![vec![true, true], vec![true, false], vec![false; 2]],
    };
    for biased in [true, false] {
        start.biased = biased;
        for objective in [Objective::Mean, Objective::Sum] {
            let mut stepped = start.clone();
            stepped.descend(&data, objective, 1.0, 0.7, "sqrt");
            let loss = Loss { data: &data, objective, lambda: 0.7, scaling: "sqrt" };
            let descent = start.descent(&loss);
            assert_eq!(descent.len(), if biased { 15 } else { 10 });
            for ((g, new), old) in descent.iter().zip(stepped.weights()).zip(start.weights()) {
                assert!((new - old - g).abs() < 1e-12, "{g} for {}", new - old);
            }
        }
    }
}

/// After a half-step the row's gradient is 0, and elimination solves what it should.
#[test]
fn the_reference_alternates_between_exact_minima() {
    let w = solve(vec![vec![0.0, 2.0, 4.0], vec![1.0, 1.0, 5.0]]);
    assert!((w[0] - 3.0).abs() < 1e-12 && (w[1] - 2.0).abs() < 1e-12, "{w:?}");
    let data = Dense {
        m: 2,
        n: 3,
        y: vec![vec![1.0, 2.0, -1.0], vec![0.5, 0.0, 3.0]],
        r: vec![vec![true; 3], vec![true, false, true]],
    };
    let mut state = State {
        u: vec![vec![0.3, -0.2], vec![0.1, 0.4]],
        v: vec![vec![0.5, 0.1], vec![-0.3, 0.2], vec![0.2, 0.6]],
        b: vec![0.1, -0.2],
        c: vec![0.2, 0.1, -0.1],
        biased: true,
    };
    let loss = Loss { data: &data, objective: Objective::Sum, lambda: 0.4, scaling: "sqrt" };
    let before = state.objective(&data, Objective::Sum, 0.4, "sqrt");
    state.alternate(&loss);
    assert!(state.objective(&data, Objective::Sum, 0.4, "sqrt") < before);
    let g = state.descent(&loss);
    // The items moved last: V is at 4..10, c at 12..15.
    assert!(g[4..10].iter().chain(&g[12..15]).all(|g| g.abs() < 1e-12), "{g:?}");
}
