//! Types as values: the type of each parameter and of the return, by arity and position.
//!
//! Written by hand through one macro, because the names (`p3_1`: second of three parameters, `r3`: the
//! return of three) are what the generator emits.

use std::future::Future;
use std::marker::PhantomData;

/// A type, as a value. `Box` makes room for unsized types; nothing is ever allocated.
pub struct Ty<T: ?Sized>(PhantomData<fn() -> Box<T>>);

impl<T: ?Sized> Ty<T> {
    pub const fn new() -> Ty<T> {
        Ty(PhantomData)
    }
}

impl<T: ?Sized> Default for Ty<T> {
    fn default() -> Ty<T> {
        Ty::new()
    }
}

impl<T: ?Sized> Clone for Ty<T> {
    fn clone(&self) -> Ty<T> {
        *self
    }
}

impl<T: ?Sized> Copy for Ty<T> {}

/// From an `async fn`'s return type to what awaiting it gives.
pub fn future<F: Future>(_: Ty<F>) -> Ty<F::Output> {
    Ty::new()
}

macro_rules! witnesses {
    ($($returns:ident [$($all:ident)*] { $($name:ident $this:ident)* })*) => {$(
        pub fn $returns<$($all,)* R>(_: fn($($all),*) -> R) -> Ty<R> {
            Ty::new()
        }
        witnesses!(@each [$($all)*] $($name $this)*);
    )*};
    (@each $all:tt $($name:ident $this:ident)*) => {
        $(witnesses!(@one $all $name $this);)*
    };
    (@one [$($all:ident)*] $name:ident $this:ident) => {
        pub fn $name<$($all,)* R>(_: fn($($all),*) -> R) -> Ty<$this> {
            Ty::new()
        }
    };
}

#[rustfmt::skip]
witnesses! {
    r0 [] {}
    r1 [A0] { p1_0 A0 }
    r2 [A0 A1] { p2_0 A0 p2_1 A1 }
    r3 [A0 A1 A2] { p3_0 A0 p3_1 A1 p3_2 A2 }
    r4 [A0 A1 A2 A3] { p4_0 A0 p4_1 A1 p4_2 A2 p4_3 A3 }
    r5 [A0 A1 A2 A3 A4] { p5_0 A0 p5_1 A1 p5_2 A2 p5_3 A3 p5_4 A4 }
    r6 [A0 A1 A2 A3 A4 A5] { p6_0 A0 p6_1 A1 p6_2 A2 p6_3 A3 p6_4 A4 p6_5 A5 }
    r7 [A0 A1 A2 A3 A4 A5 A6] { p7_0 A0 p7_1 A1 p7_2 A2 p7_3 A3 p7_4 A4 p7_5 A5 p7_6 A6 }
    r8 [A0 A1 A2 A3 A4 A5 A6 A7] { p8_0 A0 p8_1 A1 p8_2 A2 p8_3 A3 p8_4 A4 p8_5 A5 p8_6 A6 p8_7 A7 }
    r9 [A0 A1 A2 A3 A4 A5 A6 A7 A8] { p9_0 A0 p9_1 A1 p9_2 A2 p9_3 A3 p9_4 A4 p9_5 A5 p9_6 A6 p9_7 A7 p9_8 A8 }
    r10 [A0 A1 A2 A3 A4 A5 A6 A7 A8 A9] { p10_0 A0 p10_1 A1 p10_2 A2 p10_3 A3 p10_4 A4 p10_5 A5 p10_6 A6 p10_7 A7 p10_8 A8 p10_9 A9 }
    r11 [A0 A1 A2 A3 A4 A5 A6 A7 A8 A9 A10] { p11_0 A0 p11_1 A1 p11_2 A2 p11_3 A3 p11_4 A4 p11_5 A5 p11_6 A6 p11_7 A7 p11_8 A8 p11_9 A9 p11_10 A10 }
    r12 [A0 A1 A2 A3 A4 A5 A6 A7 A8 A9 A10 A11] { p12_0 A0 p12_1 A1 p12_2 A2 p12_3 A3 p12_4 A4 p12_5 A5 p12_6 A6 p12_7 A7 p12_8 A8 p12_9 A9 p12_10 A10 p12_11 A11 }
    r13 [A0 A1 A2 A3 A4 A5 A6 A7 A8 A9 A10 A11 A12] { p13_0 A0 p13_1 A1 p13_2 A2 p13_3 A3 p13_4 A4 p13_5 A5 p13_6 A6 p13_7 A7 p13_8 A8 p13_9 A9 p13_10 A10 p13_11 A11 p13_12 A12 }
    r14 [A0 A1 A2 A3 A4 A5 A6 A7 A8 A9 A10 A11 A12 A13] { p14_0 A0 p14_1 A1 p14_2 A2 p14_3 A3 p14_4 A4 p14_5 A5 p14_6 A6 p14_7 A7 p14_8 A8 p14_9 A9 p14_10 A10 p14_11 A11 p14_12 A12 p14_13 A13 }
    r15 [A0 A1 A2 A3 A4 A5 A6 A7 A8 A9 A10 A11 A12 A13 A14] { p15_0 A0 p15_1 A1 p15_2 A2 p15_3 A3 p15_4 A4 p15_5 A5 p15_6 A6 p15_7 A7 p15_8 A8 p15_9 A9 p15_10 A10 p15_11 A11 p15_12 A12 p15_13 A13 p15_14 A14 }
    r16 [A0 A1 A2 A3 A4 A5 A6 A7 A8 A9 A10 A11 A12 A13 A14 A15] { p16_0 A0 p16_1 A1 p16_2 A2 p16_3 A3 p16_4 A4 p16_5 A5 p16_6 A6 p16_7 A7 p16_8 A8 p16_9 A9 p16_10 A10 p16_11 A11 p16_12 A12 p16_13 A13 p16_14 A14 p16_15 A15 }
}
