"""A campaign counts, fails where something is wrong, and can repeat one case."""

import pytest


def test_a_campaign_says_which_cases_are_wrong(campaign, request):
    draws = []

    def attempt(generator):
        draws.append(generator.integers(2**40))
        assert len(draws) != 3, "the third is wrong"
        return len(draws) == 2

    with pytest.raises(AssertionError) as error:
        campaign(attempt, short=5, minutes=0)
    request.node.user_properties.clear()
    counts, wrong = str(error.value).splitlines()[:2]
    assert counts == "5 tried, 1 refused, 1 wrong"
    assert "CAMPAIGN_CASE=2: AssertionError('the third is wrong" in wrong
    assert len(set(draws)) == 5
