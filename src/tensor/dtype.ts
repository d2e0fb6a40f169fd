/** Element types of the language; 8 and 4 bits are for stored weights. */
export type Dtype = 'f32' | 'f16' | 'i64' | 'bool' | 'i8' | 'i4' | 'u4'
