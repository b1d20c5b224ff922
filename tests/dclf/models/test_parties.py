"""What each party says is put together, and goes back to where it came from."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from dclf.layout import Layout
from dclf.models.parties import Parties, party_keys

DIALOGUES = st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=7), min_size=1, max_size=4)


@given(DIALOGUES)
def test_every_party_has_its_utterances_in_order(dialogues: list[list[int]]) -> None:
    layout, speakers = Layout.of([len(d) for d in dialogues]), torch.tensor([s for d in dialogues for s in d])
    parties = Parties.of(layout, speakers)
    pairs = [(d, speaker) for d, dialogue in enumerate(dialogues) for speaker in sorted(set(dialogue))]
    expected = [((layout.dialogue_of == d) & (speakers == speaker)).nonzero()[:, 0].tolist() for d, speaker in pairs]
    assert [rows.tolist() for rows in parties.rows.split(parties.layout.lengths)] == expected
    assert torch.equal(parties.rows[parties.places], torch.arange(layout.utterances))


def test_a_speaker_of_one_dialogue_has_one_key() -> None:
    layout, speakers = Layout.of([3, 2]), torch.tensor([2, 0, 2, 2, 0])
    keys = party_keys(layout, speakers).tolist()
    assert keys[0] == keys[2]
    assert len(set(keys)) == 4
    assert max(keys[:3]) < min(keys[3:])
