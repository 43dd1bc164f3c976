declare const brand: unique symbol;

/** A `T` that only the parser of `N` may produce, so that two kinds of text cannot be swapped by mistake. */
export type Brand<T, N extends string> = T & { readonly [brand]: N };
