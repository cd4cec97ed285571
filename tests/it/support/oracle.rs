//! The independent reference: dense Y and R in f64, the formulas written out
//! element by element. Shares no code with the library.

/// A dense problem: Y and R as m × n tables.
#[derive(Debug, Clone)]
pub struct Dense {
    pub m: usize,
    pub n: usize,
    pub y: Vec<Vec<f64>>,
    pub r: Vec<Vec<bool>>,
}

/// Which objective is descended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Objective {
    /// E = (1/N) Σ_{r=1} (y − u·v)².
    Mean,
    /// L = ½ Σ_{r=1} (r − r̂)².
    Sum,
}

/// U (m × k), V (n × k), and biases b (m), c (n) where the model has them.
#[derive(Debug, Clone)]
pub struct State {
    pub u: Vec<Vec<f64>>,
    pub v: Vec<Vec<f64>>,
    pub b: Vec<f64>,
    pub c: Vec<f64>,
    pub biased: bool,
}

/// λ of a row with n ratings, as the manual defines it: 0 where there are none.
pub fn penalty(scaling: &str, lambda: f64, n: usize) -> f64 {
    match (scaling, n) {
        (_, 0) => 0.0,
        ("sqrt", n) => lambda * (n as f64).sqrt(),
        ("none", _) => lambda,
        ("count", n) => lambda * n as f64,
        other => panic!("{other:?}"),
    }
}

impl Dense {
    pub fn count(&self) -> usize {
        self.r.iter().flatten().filter(|&&r| r).count()
    }

    fn user_count(&self, i: usize) -> usize {
        (0..self.n).filter(|&j| self.r[i][j]).count()
    }

    fn item_count(&self, j: usize) -> usize {
        (0..self.m).filter(|&i| self.r[i][j]).count()
    }
}

impl State {
    pub fn predict(&self, i: usize, j: usize) -> f64 {
        let mut sum = if self.biased { self.b[i] + self.c[j] } else { 0.0 };
        for f in 0..self.u[i].len() {
            sum += self.u[i][f] * self.v[j][f];
        }
        sum
    }

    /// The objective with its L2 term.
    pub fn objective(&self, data: &Dense, objective: Objective, lambda: f64, scaling: &str) -> f64 {
        let mut errors = 0.0;
        let mut squares = 0.0;
        for i in 0..data.m {
            for j in 0..data.n {
                if data.r[i][j] {
                    errors += (data.y[i][j] - self.predict(i, j)).powi(2);
                }
            }
            let size = self.u[i].iter().map(|x| x * x).sum::<f64>() + self.b[i] * self.b[i];
            squares += penalty(scaling, lambda, data.user_count(i)) * size;
        }
        for j in 0..data.n {
            let size = self.v[j].iter().map(|x| x * x).sum::<f64>() + self.c[j] * self.c[j];
            squares += penalty(scaling, lambda, data.item_count(j)) * size;
        }
        match objective {
            Objective::Mean => (errors + squares) / data.count() as f64,
            Objective::Sum => 0.5 * (errors + squares),
        }
    }

    /// One step of gradient descent with rate η, both sides from the old values.
    pub fn descend(&mut self, data: &Dense, objective: Objective, eta: f64, lambda: f64, scaling: &str) {
        let old = self.clone();
        let k = old.u[0].len();
        let n = data.count() as f64;
        // −∂E/∂x = (2/N)(…) for the mean, −∂L/∂x = (…) for the sum.
        let factor = match objective {
            Objective::Mean => 2.0 / n,
            Objective::Sum => 1.0,
        };
        let delta = |i: usize, j: usize| if data.r[i][j] { data.y[i][j] - old.predict(i, j) } else { 0.0 };
        for i in 0..data.m {
            let l = penalty(scaling, lambda, data.user_count(i));
            for f in 0..k {
                let product: f64 = (0..data.n).map(|j| delta(i, j) * old.v[j][f]).sum();
                self.u[i][f] = old.u[i][f] + eta * factor * (product - l * old.u[i][f]);
            }
            if self.biased {
                let product: f64 = (0..data.n).map(|j| delta(i, j)).sum();
                self.b[i] = old.b[i] + eta * factor * (product - l * old.b[i]);
            }
        }
        for j in 0..data.n {
            let l = penalty(scaling, lambda, data.item_count(j));
            for f in 0..k {
                let product: f64 = (0..data.m).map(|i| delta(i, j) * old.u[i][f]).sum();
                self.v[j][f] = old.v[j][f] + eta * factor * (product - l * old.v[j][f]);
            }
            if self.biased {
                let product: f64 = (0..data.m).map(|i| delta(i, j)).sum();
                self.c[j] = old.c[j] + eta * factor * (product - l * old.c[j]);
            }
        }
    }

    pub fn flat_u(&self) -> Vec<f64> {
        self.u.iter().flatten().copied().collect()
    }

    pub fn flat_v(&self) -> Vec<f64> {
        self.v.iter().flatten().copied().collect()
    }
}

/// The oracle's step is the negative gradient of its objective, by finite differences.
#[test]
fn the_reference_descends_its_own_objective() {
    let data = Dense {
        m: 3,
        n: 4,
        y: vec![vec![1.0, 2.0, 0.0, -1.0], vec![0.5, 0.0, 3.0, 0.0], vec![0.0; 4]],
        r: vec![vec![true, true, false, true], vec![true, false, true, false], vec![false; 4]],
    };
    let start = State {
        u: vec![vec![0.3, -0.2], vec![0.1, 0.4], vec![0.7, 0.2]],
        v: vec![vec![0.5, 0.1], vec![-0.3, 0.2], vec![0.2, 0.6], vec![0.9, -0.4]],
        b: vec![0.1, -0.2, 0.3],
        c: vec![0.2, 0.1, -0.1, 0.4],
        biased: true,
    };
    let h = 1e-6;
    for objective in [Objective::Mean, Objective::Sum] {
        for scaling in ["sqrt", "none", "count"] {
            let lambda = 0.7;
            let mut stepped = start.clone();
            stepped.descend(&data, objective, 1.0, lambda, scaling);
            let check = |name: &str, old: f64, new: f64, edit: &dyn Fn(&mut State, f64)| {
                let at = |shift: f64| {
                    let mut state = start.clone();
                    edit(&mut state, shift);
                    state.objective(&data, objective, lambda, scaling)
                };
                let slope = (at(h) - at(-h)) / (2.0 * h);
                let step = new - old;
                assert!(
                    (step + slope).abs() < 1e-7,
                    "{objective:?} {scaling} {name}: step {step}, slope {slope}"
                );
            };
            for i in 0..3 {
                for f in 0..2 {
                    check("u", start.u[i][f], stepped.u[i][f], &|s, x| s.u[i][f] += x);
                }
                check("b", start.b[i], stepped.b[i], &|s, x| s.b[i] += x);
            }
            for j in 0..4 {
                for f in 0..2 {
                    check("v", start.v[j][f], stepped.v[j][f], &|s, x| s.v[j][f] += x);
                }
                check("c", start.c[j], stepped.c[j], &|s, x| s.c[j] += x);
            }
        }
    }
}
