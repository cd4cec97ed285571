//! The independent reference of the line search: dense f64, element by
//! element, sharing no code with the library. A side is a matrix with a bias
//! of its own, not the library's wide rows.

use nalgebra::DMatrix;

use super::oracle::{Dense, penalty};

/// One side: means, variances and prior means of its factors and biases.
#[derive(Debug, Clone)]
pub struct Side {
    /// Factors, rows × k.
    pub w: Vec<Vec<f64>>,
    /// Biases.
    pub b: Vec<f64>,
    /// Variances of the factors.
    pub t: Vec<Vec<f64>>,
    /// Variances of the biases.
    pub tb: Vec<f64>,
    /// Prior means of the factors.
    pub mean: Vec<Vec<f64>>,
    /// The factors of the mask that give them, one row for each of the *other* side.
    pub mask: Vec<Vec<f64>>,
    /// Prior variances by factor, and of the bias.
    p: Vec<f64>,
    pb: f64,
    p0: Vec<f64>,
    before: (Vec<Vec<f64>>, Vec<f64>),
}

impl Side {
    fn new(w: Vec<Vec<f64>>, others: usize) -> Self {
        let (rows, k) = (w.len(), w[0].len());
        let zeros = vec![vec![0.0; k]; rows];
        Self {
            b: vec![0.0; rows],
            t: zeros.clone(),
            tb: vec![0.0; rows],
            mean: zeros,
            mask: vec![vec![0.0; k]; others],
            p: vec![1.0; k],
            pb: 1.0,
            p0: vec![1.0; k],
            before: (w.clone(), vec![0.0; rows]),
            w,
        }
    }

    fn extrapolate(&mut self, beta: f64) {
        let old = (self.w.clone(), self.b.clone());
        for r in 0..self.w.len() {
            for f in 0..self.w[r].len() {
                self.w[r][f] += beta * (old.0[r][f] - self.before.0[r][f]);
            }
            self.b[r] += beta * (old.1[r] - self.before.1[r]);
        }
        self.before = old;
    }
}

/// What is searched.
#[derive(Debug, Clone)]
pub struct Search {
    pub users: Side,
    pub items: Side,
    /// σ².
    pub noise: f64,
    cells: [Vec<Vec<(usize, f64)>>; 2],
    q: u32,
    objective: f64,
    /// Factors that there are yet.
    active: usize,
    /// Variance of those that join, users and items.
    fresh: [f64; 2],
    biased: bool,
    masked: bool,
}

/// The precisions of a half-epoch.
enum Prior {
    Fixed(f64),
    Learned,
}

impl Search {
    pub fn new(data: &Dense, u: Vec<Vec<f64>>, v: Vec<Vec<f64>>, biased: bool, masked: bool) -> Self {
        let by_user: Vec<Vec<(usize, f64)>> = (0..data.m)
            .map(|i| (0..data.n).filter(|&j| data.r[i][j]).map(|j| (j, data.y[i][j])).collect())
            .collect();
        let by_item = (0..data.n)
            .map(|j| (0..data.m).filter(|&i| data.r[i][j]).map(|i| (i, data.y[i][j])).collect())
            .collect();
        let active = u[0].len();
        Self {
            active,
            fresh: [0.0; 2],
            users: Side::new(u, data.n),
            items: Side::new(v, data.m),
            noise: 0.0,
            cells: [by_user, by_item],
            q: 0,
            objective: f64::INFINITY,
            biased,
            masked,
        }
    }

    /// Biases as damped means of what the other side leaves, items first, four times.
    pub fn start_biased(&mut self) {
        for role in [1, 0].repeat(4) {
            let [users, items] = [&mut self.users, &mut self.items];
            let (own, other) = if role == 0 { (users, items) } else { (items, users) };
            for (b, row) in own.b.iter_mut().zip(&self.cells[role]).filter(|(_, row)| !row.is_empty()) {
                *b = row.iter().map(|&(j, y)| y - other.b[j]).sum::<f64>() / (5.0 + row.len() as f64);
            }
        }
        self.users.before.1 = self.users.b.clone();
        self.items.before.1 = self.items.b.clone();
    }

    pub fn predict(&self, i: usize, j: usize) -> f64 {
        let dot: f64 = self.users.w[i].iter().zip(&self.items.w[j]).map(|(a, b)| a * b).sum();
        dot + self.users.b[i] + self.items.b[j]
    }

    fn sum_squares(&self) -> f64 {
        let rows = self.cells[0].iter().enumerate();
        rows.flat_map(|(i, row)| row.iter().map(move |&(j, y)| (i, j, y)))
            .map(|(i, j, y)| (y - self.predict(i, j)).powi(2))
            .sum()
    }

    /// One half-epoch; returns Σ E[e²] before the step where priors are learned.
    fn half(&mut self, users: bool, prior: &Prior) -> f64 {
        let biased = self.biased;
        let cells = &self.cells[usize::from(!users)];
        let (own, other) =
            if users { (&mut self.users, &self.items) } else { (&mut self.items, &self.users) };
        let k = own.w[0].len();
        let mut energy = 0.0;
        for (r, row) in cells.iter().enumerate() {
            // Columns 0..k are factors; column k is the bias, whose x is 1 and x̃ is 0.
            let columns = if biased { k + 1 } else { k };
            let x = |j: usize, f: usize| if f < k { other.w[j][f] } else { 1.0 };
            let mut w: Vec<f64> = own.w[r].clone();
            w.push(own.b[r]);
            let (mut g, mut h, mut d, mut rest) =
                (vec![0.0; columns], vec![0.0; columns], vec![0.0; columns], vec![0.0; columns]);
            let mut variances = vec![0.0; columns];
            let errors: Vec<f64> = row
                .iter()
                .map(|&(j, y)| {
                    y - (0..k).map(|f| w[f] * x(j, f)).sum::<f64>()
                        - if biased { w[k] + other.b[j] } else { 0.0 }
                })
                .collect();
            energy += errors.iter().map(|e| e * e).sum::<f64>();
            for f in 0..columns {
                let s1: f64 = row.iter().map(|&(j, _)| x(j, f).powi(2)).sum();
                let mut s2 = 0.0;
                let rho;
                let mut mean = 0.0;
                match prior {
                    Prior::Fixed(lambda) => rho = penalty("sqrt", *lambda, row.len()),
                    Prior::Learned if (self.active..k).contains(&f) => continue,
                    Prior::Learned => {
                        s2 = if f < k { row.iter().map(|&(j, _)| other.t[j][f]).sum() } else { 0.0 };
                        rho = self.noise / if f < k { own.p[f] } else { own.pb };
                        mean = if f < k { own.mean[r][f] } else { 0.0 };
                    }
                }
                g[f] = row.iter().zip(&errors).map(|(&(j, _), e)| e * x(j, f)).sum::<f64>()
                    - s2 * w[f]
                    - rho * (w[f] - mean);
                h[f] = s1 + s2 + rho;
                rest[f] = s2 + rho;
                d[f] = if h[f] > 0.0 { g[f] / h[f] } else { 0.0 };
                if let Prior::Learned = prior {
                    variances[f] = self.noise / h[f];
                    energy += variances[f] * (s1 + s2) + w[f] * w[f] * s2;
                }
            }
            if let (Prior::Learned, true) = (prior, biased) {
                energy += row.iter().map(|&(j, _)| other.tb[j]).sum::<f64>();
            }
            let along = |j: usize| (0..columns).map(|f| d[f] * x(j, f)).sum::<f64>();
            let curvature = row.iter().map(|&(j, _)| along(j).powi(2)).sum::<f64>()
                + (0..columns).map(|f| rest[f] * d[f] * d[f]).sum::<f64>();
            let alpha = if curvature > 0.0 {
                (0..columns).map(|f| g[f] * d[f]).sum::<f64>() / curvature
            } else {
                0.0
            };
            for f in 0..k {
                own.w[r][f] += alpha * d[f];
                own.t[r][f] = variances[f];
            }
            if biased {
                own.b[r] += alpha * d[k];
                own.tb[r] = variances[k];
            }
        }
        energy
    }

    fn size(&self, users: bool, lambda: f64) -> f64 {
        let (side, cells) = if users { (&self.users, &self.cells[0]) } else { (&self.items, &self.cells[1]) };
        let row = |r: usize| side.w[r].iter().map(|x| x * x).sum::<f64>() + side.b[r] * side.b[r];
        (0..side.w.len()).map(|r| penalty("sqrt", lambda, cells[r].len()) * row(r)).sum()
    }

    fn extrapolate(&mut self, fresh: bool) {
        let beta = if fresh { 0.0 } else { f64::min(0.7, f64::from(self.q) / (f64::from(self.q) + 3.0)) };
        if fresh {
            (self.q, self.objective) = (0, f64::INFINITY);
        } else {
            self.q += 1;
        }
        self.users.extrapolate(beta);
        self.items.extrapolate(beta);
    }

    fn follow(&mut self, objective: f64, tolerance: f64) {
        if objective > self.objective * (1.0 + tolerance) {
            self.q = 0;
        }
        self.objective = objective;
    }

    /// One epoch with the fixed penalty λ·√n.
    pub fn fixed(&mut self, first: bool, lambda: f64) {
        self.extrapolate(first);
        self.half(true, &Prior::Fixed(lambda));
        let energy = self.sum_squares() + self.size(false, lambda);
        self.noise = 0.9 * energy / self.cells[0].iter().map(Vec::len).sum::<usize>() as f64;
        let objective = energy + self.size(true, lambda);
        self.half(false, &Prior::Fixed(lambda));
        self.follow(objective, 1e-5);
    }

    /// From the warm-up to the variational epochs. Only the `first` factors hold anything.
    pub fn gauge(&mut self, first: usize) {
        self.active = first;
        let (m, n, k) = (self.users.w.len(), self.items.w.len(), self.users.w[0].len());
        // Whoever has no rating begins at the prior mean.
        for (side, cells) in [(&mut self.users, &self.cells[0]), (&mut self.items, &self.cells[1])] {
            for (w, _) in side.w.iter_mut().zip(cells).filter(|(_, row)| row.is_empty()) {
                w.fill(0.0);
            }
        }
        let product = DMatrix::from_fn(m, n, |i, j| {
            self.users.w[i].iter().zip(&self.items.w[j]).map(|(a, b)| a * b).sum::<f64>()
        });
        let svd = product.svd(true, true);
        let (a, bt) = (svd.u.unwrap(), svd.v_t.unwrap());
        let mut order: Vec<usize> = (0..svd.singular_values.len()).collect();
        order.sort_by(|&x, &y| svd.singular_values[y].total_cmp(&svd.singular_values[x]));
        let rated = |cells: &[Vec<(usize, f64)>]| cells.iter().filter(|row| !row.is_empty()).count() as f64;
        let c = (rated(&self.cells[0]) / rated(&self.cells[1])).powf(0.25);
        for f in 0..k {
            let component =
                order.get(f).filter(|&&g| svd.singular_values[g] > 1e-9 * svd.singular_values[order[0]]);
            for i in 0..m {
                self.users.w[i][f] =
                    component.map_or(0.0, |&g| a[(i, g)] * svd.singular_values[g].sqrt() * c);
            }
            for j in 0..n {
                self.items.w[j][f] =
                    component.map_or(0.0, |&g| bt[(g, j)] * svd.singular_values[g].sqrt() / c);
            }
        }
        let sides = [(&mut self.users, &self.cells[0]), (&mut self.items, &self.cells[1])];
        for ((side, cells), fresh) in sides.into_iter().zip(&mut self.fresh) {
            let rated = cells.iter().filter(|row| !row.is_empty()).count() as f64;
            let square = |f: usize| side.w.iter().map(|w| w[f] * w[f]).sum::<f64>() / rated;
            *fresh = 3.0 * square(first - 1);
            side.p = (0..k).map(|f| (2.0 * square(f)).max(1e-8)).collect();
            side.pb = (side.b.iter().map(|b| b * b).sum::<f64>() / rated).max(1e-8);
            side.p0 = side.p.clone();
        }
        self.guess_variances(0..first);
    }

    /// The other factors join: `drawn` has normal numbers for users and items, `[rows, others]`.
    pub fn widen(&mut self, drawn: [&[f32]; 2]) {
        let (first, k) = (self.active, self.users.w[0].len());
        self.active = k;
        let sides = [&mut self.users, &mut self.items];
        for ((side, drawn), fresh) in sides.into_iter().zip(drawn).zip(self.fresh) {
            for (w, normal) in side.w.iter_mut().zip(drawn.chunks(k - first)) {
                for (w, &normal) in w[first..].iter_mut().zip(normal) {
                    *w = fresh.sqrt() * f64::from(normal);
                }
            }
            side.p[first..].fill((2.0 * fresh).max(1e-8));
            side.p0[first..].copy_from_slice(&side.p[first..]);
        }
        self.guess_variances(first..k);
    }

    /// An item's variances, as if its users' factors were as large as the mean.
    fn guess_variances(&mut self, factors: std::ops::Range<usize>) {
        for (t, row) in self.items.t.iter_mut().zip(&self.cells[1]) {
            for f in factors.clone() {
                let square = self.users.p[f] / 2.0;
                t[f] = 1.0 / (row.len() as f64 * square / self.noise + 1.0 / self.items.p[f]);
            }
        }
    }

    /// One gradient step on the mask's factors of one side's prior means.
    fn mask_step(&mut self, users: bool) {
        let (own_cells, other_cells) =
            if users { (&self.cells[0], &self.cells[1]) } else { (&self.cells[1], &self.cells[0]) };
        let own = if users { &mut self.users } else { &mut self.items };
        let weight = |r: usize| 1.0 / (own_cells[r].len() as f64).sqrt();
        for f in 0..self.active {
            let (p, p0) = (own.p[f], own.p0[f]);
            let mut d = vec![0.0; other_cells.len()];
            let (mut above, mut below) = (0.0, 0.0);
            for (i, row) in other_cells.iter().enumerate().filter(|(_, row)| !row.is_empty()) {
                let pull: f64 =
                    row.iter().map(|&(r, _)| weight(r) * (own.w[r][f] - own.mean[r][f]) / p).sum();
                let g = pull - own.mask[i][f] / p0;
                d[i] = g / (row.len() as f64 / p + 1.0 / p0);
                above += g * d[i];
                below += d[i] * d[i] / p0;
            }
            let moved: Vec<f64> = own_cells
                .iter()
                .enumerate()
                .map(|(r, row)| {
                    if row.is_empty() { 0.0 } else { weight(r) * row.iter().map(|&(i, _)| d[i]).sum::<f64>() }
                })
                .collect();
            below += moved.iter().map(|x| x * x / p).sum::<f64>();
            let alpha = if below > 0.0 { above / below } else { 0.0 };
            for (y, d) in own.mask.iter_mut().zip(&d) {
                y[f] += alpha * d;
            }
            for (mean, moved) in own.mean.iter_mut().zip(&moved) {
                mean[f] += alpha * moved;
            }
        }
    }

    fn learn_priors(&mut self, users: bool) {
        let (side, cells) =
            if users { (&mut self.users, &self.cells[0]) } else { (&mut self.items, &self.cells[1]) };
        let rated: Vec<usize> = (0..cells.len()).filter(|&r| !cells[r].is_empty()).collect();
        let n = rated.len() as f64;
        for f in 0..side.p.len() {
            let moment = |&r: &usize| (side.w[r][f] - side.mean[r][f]).powi(2) + side.t[r][f];
            side.p[f] = (rated.iter().map(moment).sum::<f64>() / n).max(1e-8);
        }
        side.pb = (rated.iter().map(|&r| side.b[r].powi(2) + side.tb[r]).sum::<f64>() / n).max(1e-8);
    }

    /// One variational epoch, counted from 1; `fresh`: nothing to go on from.
    pub fn variational(&mut self, epoch: u32, fresh: bool) {
        self.extrapolate(fresh);
        self.half(true, &Prior::Learned);
        if self.masked {
            self.mask_step(true);
        }
        let energy = self.half(false, &Prior::Learned);
        if self.masked {
            self.mask_step(false);
        }
        if epoch > 3 {
            self.learn_priors(true);
            self.learn_priors(false);
        }
        let count: usize = self.cells[0].iter().map(Vec::len).sum();
        self.noise = (energy / count as f64).max(1e-8);
        self.follow(energy, 0.1);
    }
}
