use std::hint::black_box;

struct Order {
    quantity: u32,
}

trait Price {
    fn price(&self) -> u32;
}

impl Price for Order {
    #[inline(never)]
    fn price(&self) -> u32 {
        black_box(self.quantity) * 3
    }
}

#[inline(never)]
fn total<T: Price>(orders: &[T]) -> u32 {
    orders.iter().map(|order| order.price()).sum()
}

fn main() {
    let orders = [Order { quantity: 2 }, Order { quantity: 5 }];
    println!("{}", total(black_box(&orders)));
}
