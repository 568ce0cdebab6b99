"""What systems and protocols are called in results, in the order that tables show them."""

WITHOUT, WITH = "without_proposals", "with_proposals"
PROTOCOLS = (WITHOUT, WITH)

MILO, HOWTO100M, UNTRAINED = "milo", "howto100m", "untrained_network"
CLIP, MIL_NCE, RANDOM, ALL_POSITIVE = "clip", "mil_nce", "random", "all_positive"

#: MILO first, then from much knowledge to none.
SYSTEMS = {
    MILO: "MILO",
    HOWTO100M: "HowTo100M, not fine-tuned",
    UNTRAINED: "untrained network",
    CLIP: "CLIP",
    MIL_NCE: "MIL-NCE",
    RANDOM: "random",
    ALL_POSITIVE: "all positive",
}
