/** Values of types that browsers have, or clone as they must, behind the names of `crates/protocol/vectors`. */

export function platformValues(): Record<string, unknown> {
  const matrix = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, -0.5]
  const image = new ImageData(2, 1, { colorSpace: 'display-p3' })
  image.data.set([1, 2, 3, 4, 250, 251, 252, 255])
  const cause: Record<string, unknown> = {}
  const failure = new Error('a', { cause })
  failure.stack = 'a stack'
  cause.of = failure
  const { Float16Array } = globalThis as unknown as { Float16Array: Float32ArrayConstructor }
  return {
    Float16Array: Float16Array.of(1.5),
    'error that causes itself': failure,
    DOMException: new DOMException('lone \ud800', 'AbortError'),
    DOMPoint: new DOMPoint(1, -0, Number.NEGATIVE_INFINITY, 0.5),
    DOMPointReadOnly: new DOMPointReadOnly(1),
    DOMRect: new DOMRect(1, 2, -3, 4),
    DOMRectReadOnly: new DOMRectReadOnly(1, 2, 3, 4),
    DOMQuad: DOMQuad.fromRect(new DOMRect(1, 2, 3, 4)),
    'DOMMatrix in the plane': new DOMMatrix([1, 2, 3, 4, 5, 6]),
    DOMMatrix: new DOMMatrix(matrix),
    DOMMatrixReadOnly: new DOMMatrixReadOnly(),
    ImageData: image,
  }
}
