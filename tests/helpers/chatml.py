"""ChatML, the chat template of the models that these tests make: most local models have it, or one like it.

It reads the messages and nothing else: what a request says in ``chat_template_kwargs`` makes no difference.
"""

END_OF_TEXT, START_OF_TURN, END_OF_TURN = SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")

TEMPLATE = """\
{%- for turn in messages -%}
<|im_start|>{{ turn.role }}
{{ turn.content }}<|im_end|>
{% endfor -%}
{%- if add_generation_prompt -%}
<|im_start|>assistant
{% endif -%}
"""
