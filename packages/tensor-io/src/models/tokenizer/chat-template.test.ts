import { describe, expect, it } from 'vitest'
import { readTemplate } from './chat-template.ts'

const messages = [
  { role: 'system', content: 'Be brief.' },
  { role: 'user', content: 'hi' },
]
const render = (source: string, items: Record<string, unknown> = { messages }) =>
  readTemplate('chat_template.jinja', source)(items)

describe('chat templates', () => {
  it('are rendered', () => {
    const source = [
      "{%- macro told(m, sep='\\n') %}<{{ m.role }}>{{ m['content'] | trim }}{{ sep }}{% endmacro %}",
      '{%- set ns = namespace(first=true) %}',
      '{%- for m in messages[1:] if not none %}',
      '{%- if loop.first %}{{ messages[0].content.replace("brief", "short") }}{% set ns.first = false %}{% endif %}',
      '{{- told(m) }}{% if ns.first %}never{% endif %}',
      '{%- endfor %}{{ range(3) | join("-") }}{{ range(5, 1, -2) | list | length }}{{ messages | tojson(indent=1) | length }}',
    ].join('\n')
    expect(render(source)).toBe('Be short.<user>hi\n0-1-2297')
  })

  it('know the date', () => {
    expect(render('{{ strftime_now("%Y") }}')).toMatch(/^\d{4}$/)
  })

  it('take a long conversation', () => {
    const long = Array.from({ length: 2000 }, (_, i) => ({ role: 'user', content: `${i} `.repeat(400) }))
    const source =
      '{% for m in messages %}{% if messages[loop.index0].role == "user" %}{{ m.content | trim | replace("<|im_end|>", "") }}{% endif %}{% endfor %}'
    expect(render(source, { messages: long })).toContain('1999 1999')
  })

  const grow = (body: string) =>
    `{% set ns = namespace(s="aaaaaaaaaa", a=[1]) %}{% for i in range(60) %}${body}{% endfor %}`
  it.each([
    ['syntax', '{{', 'not well formed'],
    ['a template that refuses', '{{ raise_exception("roles must alternate") }}', 'roles must alternate'],
    ['break', '{% break %}', 'outside of a loop'],
    ['parentheses', `{{${'('.repeat(20000)}1${')'.repeat(20000)}}}`, 'nested too deeply'],
    ['a call of what is no function', '{{ messages.nothing() }}', 'Cannot call'],
    ['a long template', ' '.repeat(300_000), 'more than'],
    ['doubled text', grow('{% set ns.s = ns.s ~ ns.s %}'), 'texts of more than'],
    ['doubled lists', grow('{% set ns.a = ns.a + ns.a %}'), 'steps'],
    ['doubled references', `${grow('{% set ns.a = [ns.a, ns.a] %}')}{{ ns.a }}`, 'of more than'],
    ['namespaces in lists', `${grow('{% set ns.a = [ns] %}')}{{ ns.a }}`, 'namespace'],
    ['blocks that are set', grow('{% set ns.s %}{{ ns.s }}{{ ns.s }}{% endset %}'), 'of more than'],
    [
      'nested ranges',
      '{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}',
      'steps',
    ],
    [
      'nested texts',
      '{% for i in range(100000) %}{% for j in range(100000) %}x{% endfor %}{% endfor %}',
      'steps',
    ],
    ['a long range', '{% set x = range(1000000000) %}', 'too long'],
    ['an endless range', '{{ range(0, 10, 0) }}', 'too long'],
    ['a macro that calls itself', '{% macro f(g) %}{{ g(g) }}{% endmacro %}{{ f(f) }}', 'nested too deeply'],
    [
      'replaced letters',
      `${grow('{% if ns.s|length < 100000 %}{% set ns.s = ns.s ~ ns.s %}{% endif %}')}{{ ns.s | replace("a", ns.s) }}`,
      'of more than',
    ],
    [
      'a method that replaces',
      `${grow('{% if ns.s|length < 100000 %}{% set ns.s = ns.s ~ ns.s %}{% endif %}')}{{ ns.s.replace("a", ns.s) }}`,
      'of more than',
    ],
    [
      'joined lists',
      `${grow('{% if ns.s|length < 100000 %}{% set ns.s = ns.s ~ ns.s %}{% endif %}')}{{ range(100000) | join(ns.s) }}`,
      'of more than',
    ],
    ['an indent', '{{ "a\\n\\n\\n" | indent(100000000) }}', 'of more than'],
    ['indented JSON', '{{ messages | tojson(indent=100000000) }}', 'of more than'],
    [
      'sorting again and again',
      '{% set x = range(100000) %}{% for i in range(100000) %}{% set y = x | sort %}{% endfor %}',
      'steps',
    ],
    [
      'slicing again and again',
      '{% set x = range(100000) %}{% for i in range(100000) %}{% set y = x[::-1] %}{% endfor %}',
      'steps',
    ],
  ])('end with an error: %s', (_, source, message) => {
    expect(() => render(source)).toThrow(expect.objectContaining({ name: 'ReallmError', code: 'bad-file' }))
    expect(() => render(source)).toThrow(/^chat_template.jinja: /)
    expect(() => render(source)).toThrow(message)
  })
})
