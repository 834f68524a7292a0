import { createElement } from 'react'
import { renderToString } from 'react-dom/server'

const before = new Set(Object.getOwnPropertyNames(globalThis))
await import('tidesync')
await import('tidesync/inline')
const { useCloudSync } = await import('tidesync/react')
const added = Object.getOwnPropertyNames(globalThis).filter((name) => !before.has(name))
console.log(`new globals: ${added.join(', ') || 'none'}`)

function Status() {
  const { status } = useCloudSync('ada')
  return createElement('p', null, status.disabledReason)
}
console.log(renderToString(createElement(Status)))
