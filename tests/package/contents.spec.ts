import { readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from '@playwright/test'
import { type Packed, pack, ROOT } from './support'

let packed: Packed

test.beforeAll(async () => {
  packed = await pack()
})

test.afterAll(() => packed.remove())

test('the tarball holds what is meant to be published, and nothing else', () => {
  const names = packed.files.map((file) => file.replace(/chunk-\w+\.js$/, 'chunk-*.js'))
  expect(`${names.join('\n')}\n`).toMatchSnapshot('contents.txt')
})

test('every export names a file of the tarball', () => {
  const { exports } = manifest()
  const targets = Object.values(exports).flatMap((target) =>
    typeof target === 'string' ? [target] : Object.values(target),
  )
  expect(targets.length).toBeGreaterThan(0)
  for (const target of targets) expect(packed.files).toContain(target.replace('./', ''))
})

test('the package has no run-time dependency, no side effects, and React is optional', () => {
  const { dependencies, sideEffects, peerDependencies, peerDependenciesMeta } = manifest()
  expect(dependencies ?? {}).toEqual({})
  expect(sideEffects).toBe(false)
  expect(peerDependencies).toEqual({ react: '>=18' })
  expect(peerDependenciesMeta).toEqual({ react: { optional: true } })
})

test('react.js is marked as a client module, and only React is imported from outside', () => {
  expect(read('dist/react.js')).toMatch(/^"use client";/)
  for (const file of packed.files.filter((name) => name.endsWith('.js'))) {
    const outside = [
      ...read(file).matchAll(/^\s*(?:import|export)\b[^'"]*["']([^."'][^"']*)["']/gm),
    ]
    const names = outside.map((match) => match[1])
    expect(
      names.every((name) => name === 'react'),
      `${file} imports ${names}`,
    ).toBe(true)
  }
})

test('no module awaits at its top level', () => {
  for (const file of packed.files.filter((name) => name.endsWith('.js'))) {
    expect(read(file), file).not.toMatch(/^(?:await\b|(?:const|let|var)\s[^=]*=\s*await\b)/m)
  }
})

test('no file holds a secret or a path of the machine that built it', () => {
  const forbidden = [
    ROOT,
    homedir(),
    '/.cargo/',
    '/.rustup/',
    'PRIVATE KEY',
    'node_modules/',
    '_authToken',
  ]
  for (const file of packed.files) {
    const text = read(file, 'latin1')
    const found = forbidden.filter((word) => word.length > 1 && text.includes(word))
    expect(found, file).toEqual([])
  }
})

interface Manifest {
  exports: Record<string, string | Record<string, string>>
  dependencies?: Record<string, string>
  peerDependencies?: Record<string, string>
  peerDependenciesMeta?: Record<string, unknown>
  sideEffects?: boolean
}

function manifest(): Manifest {
  return JSON.parse(read('package.json'))
}

function read(file: string, encoding: BufferEncoding = 'utf8'): string {
  return readFileSync(join(packed.folder, file), encoding)
}
