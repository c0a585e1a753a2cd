mod deep;

use std::collections::BTreeMap;
use std::fmt::Display;

trait Shape {
    fn area(&self) -> f64;
    fn name(&self) -> String {
        format!("shape of {}", self.area())
    }
}

struct Square(f64);
struct Circle<T>(T);

impl Shape for Square {
    fn area(&self) -> f64 {
        self.0 * self.0
    }
}

impl<T: Copy + Into<f64>> Shape for Circle<T> {
    fn area(&self) -> f64 {
        let radius: f64 = self.0.into();
        3.14 * radius * radius
    }
    fn name(&self) -> String {
        "circle".to_owned()
    }
}

#[inline(always)]
fn mix(hash: u64, byte: u8) -> u64 {
    (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
}

fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, mix)
}

#[inline(never)]
fn count<T: Display>(items: &[T]) -> BTreeMap<u64, usize> {
    let mut counts = BTreeMap::new();
    for item in items {
        *counts.entry(hash(&item.to_string())).or_insert(0) += 1;
    }
    counts
}

#[inline(never)]
fn guarded(depth: usize) -> Result<usize, String> {
    let result = std::panic::catch_unwind(|| {
        let list: Vec<usize> = (0..depth).collect();
        list[depth / 2]
    });
    result.map_err(|_| "out of range".to_owned())
}

fn main() {
    let shapes: Vec<Box<dyn Shape>> = vec![Box::new(Square(2.0)), Box::new(Circle(1.5_f32)), Box::new(Circle(2_u8))];
    let names: Vec<String> = shapes.iter().map(|shape| shape.name()).collect();
    println!("{names:?} {:?}", count(&names));
    println!("{:?} {:?}", count(&[1, 2, 3]), guarded(std::env::args().count()));
    println!("{} {}", deep::fancy("a1b22c333"), deep::chain(names.len() as u64));
}
