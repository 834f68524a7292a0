/** Records of about 292 bytes of JSON, the same at every run. */

/** A note of an imaginary app. */
export interface Note {
  id: string
  title: string
  body: string
  tags: string[]
  done: boolean
  stars: number
  updatedAt: number
}

const WORDS =
  'the of and to in a is that for it as was with be by on not he his but at are this have from or had an they which one you were all her she there would their we him been has when who will no more if out so up said what its about than into them can only other time new some could these two may first then do any like my now over such our man me even most made after also did many off before must well back through years much where your way down should because long each just state those people too mr how little good world make very year still see own work men day get here old life both between being under three never know same last another while us might great go come since against right came take used himself few house use place american during without again home around small however found mrs part school thought went say general once upon war every does got united left number course until always away something fact water less public put think almost hand enough took head yet government system set better told nothing night end why called find going look asked later point knew next city business give group toward young days let room side social present given several order national second possible rather'.split(
    ' ',
  )

/** A small generator of numbers below 1, the same for the same seed. */
function generator(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}

/** `count` notes of realistic text; other seeds give other ids and texts. */
export function notes(count: number, seed: number): Note[] {
  const random = generator(seed)
  const words = (length: number) =>
    Array.from({ length }, () => WORDS[Math.floor(random() ** 2 * WORDS.length)] ?? 'the').join(' ')
  return Array.from({ length: count }, (_, index) => ({
    id: `${seed}-${index.toString(36).padStart(6, '0')}`,
    title: words(4),
    body: words(27),
    tags: [words(1), words(1)],
    done: random() < 0.5,
    stars: Math.floor(random() * 6),
    updatedAt: 1_750_000_000_000 + index,
  }))
}
