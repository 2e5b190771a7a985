"""What transformers' apply_chat_template makes of templates in the shapes that models have.

pip install transformers jinja2 && python tools/golden/chat-templates.py > packages/tensor-io/test/fixtures/chat-templates.json
"""
import json
import sys
from pathlib import Path

from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

special = {'bos_token': '<s>', 'eos_token': '</s>', 'pad_token': '<pad>'}
vocabulary = {token: i for i, token in enumerate([*special.values(), 'a'])}
tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.BPE(vocabulary, [])), **special)

weather = {'type': 'function', 'function': {
    'name': 'weather', 'description': 'Weather <now> & "later"',
    'parameters': {'type': 'object', 'required': ['place'], 'properties': {
        'place': {'type': 'string', 'description': 'Ort, z. B. Zürich'},
        'unit': {'type': 'string', 'enum': ['C', 'F'], 'default': 'C'},
        'days': {'type': 'array', 'items': {'type': 'integer'}, 'nullable': True},
        'at': {'type': ['number', 'null'], 'default': 1.5}}}}}
clock = {'type': 'function', 'function': {'name': 'clock', 'description': 'The time', 'parameters': {'type': 'object', 'properties': {}}}}
call = {'id': 'abcdefghi', 'type': 'function',
        'function': {'name': 'weather', 'arguments': {'place': 'Zürich', 'unit': 'C'}}}


def user(content):
    return {'role': 'user', 'content': content}


def assistant(content, **more):
    return {'role': 'assistant', 'content': content, **more}


brief = {'role': 'system', 'content': ' Be brief.\n'}
answered = {'role': 'tool', 'content': '{"t": 21}', 'tool_call_id': 'abcdefghi', 'name': 'weather'}
conversations = {
    'one': [user('Hi ')],
    'several': [brief, user('1 + 1?'), assistant('2'), user("  Sure? It's\n\"fine\" <b>&\u2028é🙂  ")],
    'answered': [user('Hi'), assistant('<think>\nwell\n</think>\n\nHello')],
    'thought': [user('Hi'), assistant('Hello', reasoning_content='\nwell\n', thinking='well')],
    'called': [brief, user('Weather?'), assistant('', tool_calls=[call], thinking='look'), answered],
    'went on': [user('Weather?'), assistant('', tool_calls=[call]), answered, assistant('21 °C'), user('Thanks')],
    'twice': [user('a'), user('b')],
    'parts': [user([{'type': 'text', 'text': ' What is this? '}, {'type': 'image'}])],
    'odd': [{'role': 'stranger', 'content': 'x'}],
}
documents = [{'doc_id': 7, 'title': 'A', 'text': ' one\ntwo '}, {'text': 'three'}]
asked = [
    {},
    {'add_generation_prompt': True},
    {'tools': [weather, clock], 'add_generation_prompt': True},
    {'enable_thinking': False, 'reasoning_effort': 'high', 'thinking': True, 'date_string': '1 Jan 2026', 'add_generation_prompt': True},
    {'documents': documents, 'controls': {'length': 'short', 'citations': True}},
]


# messages are texts for all templates but these
in_parts = ['turns', 'thinking']


def rendered(template, messages, options):
    try:
        return {'text': tokenizer.apply_chat_template(messages, chat_template=template, tokenize=False, **options)}
    except Exception as error:
        return {'error': str(error)}


templates = {path.stem: path.read_text() for path in sorted(Path(__file__).with_name('chat-templates').glob('*.jinja'))}
golden = {'special': special, 'conversations': conversations, 'options': asked, 'templates': {
    name: {'template': template, 'results': {
        conversation: [rendered(template, messages, options) for options in asked]
        for conversation, messages in conversations.items() if conversation != 'parts' or name in in_parts}}
    for name, template in templates.items()}}
json.dump(golden, sys.stdout, indent=1, ensure_ascii=False)
print()
