/** The module of the page in which the benchmarks run. */

export * from './page'
export * from './page-busy'
export * from './page-opening'
