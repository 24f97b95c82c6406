"""What a prompt asks for: recognised English and Chinese words become features of a landscape.

A word that is not in the vocabulary still counts: the SHA-256 of the whole text picks what the known words
left open (hour, land, palette, hue), and the text together with the seed picks the composition. User text
never does anything but choose colours and shapes.
"""

import hashlib
import random
import re
from dataclasses import dataclass

import numpy as np

HOURS = {
    "dawn": "dawn sunrise morning daybreak 黎明 日出 清晨 早晨 朝霞 拂晓",
    "day": "day noon sunny daylight midday bright 白天 正午 晴 阳光 蓝天",
    "golden": "golden gold afternoon warm 金色 午后 暖",
    "sunset": "sunset dusk evening twilight 日落 黄昏 夕阳 晚霞 傍晚 落日",
    "night": "night midnight starry moonlight moonlit nocturnal dark neon 夜 午夜 星空 月光 霓虹",
}
SEASONS = {
    "spring": "spring blossom cherry sakura april 春 樱花 桃花",
    "summer": "summer july tropical lush 夏 热带",
    "autumn": "autumn fall maple october november harvest 秋 枫 落叶",
    "winter": "winter snow snowy snowfall snowing blizzard frozen ice icy frost christmas arctic 冬 雪 冰 霜",
}
LANDS = {
    "mountain": "mountain peak alp summit cliff himalaya fuji volcano everest 山 峰 岭 崖",
    "hills": "hill valley countryside village tuscany farm vineyard 丘 山谷 乡村 村庄 田园 梯田",
    "sea": "sea ocean wave beach coast coastal island harbor harbour shore 海 洋 浪 沙滩 岛 港",
    "lake": "lake river pond water reflection fjord 湖 江 河 水 溪 池 倒影",
    "forest": "forest tree wood pine jungle spruce bamboo 森林 树 林 竹 松",
    "desert": "desert dune sahara sand oasis camel 沙漠 沙丘 戈壁 骆驼",
    "city": "city skyline skyscraper street tokyo shanghai york cyberpunk urban downtown town "
    "城市 都市 上海 北京 东京 街 高楼 赛博朋克",
    "meadow": "meadow field grass prairie garden steppe 草原 田野 草地 花园 花海",
}
DETAILS = {
    "flowers": "flower tulip rose lavender sunflower poppy blossom bloom daisy 花 玫瑰 薰衣草 向日葵 郁金香",
    "cloud": "cloud cloudy clouds 云 多云",
    "rain": "rain rainy drizzle monsoon 雨",
    "storm": "storm stormy thunder tempest dramatic 暴风 雷 风暴",
    "snow": "snowfall snowing snowstorm snowflake blizzard flurry 下雪 飘雪 大雪 雪花",
    "fog": "fog foggy mist misty haze hazy 雾 霭 朦胧",
    "stars": "star starry stars galaxy milky cosmos space universe 星 银河 宇宙",
    "moon": "moon moonlight moonlit crescent 月",
    "aurora": "aurora borealis 极光",
    "rainbow": "rainbow 彩虹",
    "birds": "bird crane gull seagull swallow geese goose eagle 鸟 鹤 雁 海鸥 燕 鹰",
    "boat": "boat ship sail sailboat sailing yacht 船 舟 帆",
    "house": "house cabin cottage hut home farm barn village 屋 房 家 村庄 木屋",
    "lighthouse": "lighthouse beacon 灯塔",
    "balloon": "balloon balloons 气球",
    "cat": "cat kitten kitty 猫",
}
_IMPLIED_HOUR = {"stars": "night", "moon": "night", "aurora": "night"}
_WATER_LANDS = frozenset({"sea", "lake"})


@dataclass(frozen=True)
class Scene:
    """A landscape that is decided but not yet painted; equal scenes paint equal pictures."""

    hour: str
    season: str
    lands: frozenset[str]
    details: frozenset[str]
    palette: int
    """Which of the hour's skies."""
    hue: float
    """Rotation of every colour, in degrees; the words' and the model's own tint."""
    vividness: float
    """Factor on saturation and contrast, about 1; follows the guidance scale."""
    composition: bytes
    """Digest that seeds every random decision of the layout."""

    def rng(self, layer: str) -> np.random.Generator:
        """A generator of this layer's own, so that adding a layer moves none of the others."""
        digest = hashlib.sha256(self.composition + layer.encode()).digest()
        return np.random.default_rng(int.from_bytes(digest[:16], "big"))

    @property
    def has_water(self) -> bool:
        return bool(self.lands & _WATER_LANDS)


def imagine(prompt: str, negative: str, *, seed: int, index: int, guidance: float, model: str) -> Scene:
    """Decide the landscape for one picture of a batch.

    Args:
        prompt: What to paint, in any language.
        negative: What to leave out; its words also shift the hue a little.
        seed: 0..2^64-1.
        index: Number of the picture in its batch, from 0.
        guidance: The guidance scale (cfg); 7 is neutral.
        model: The model's file name, which gives a tint of its own.
    """
    wanted, unwanted = _Words(prompt), _Words(negative)
    mood = random.Random(_digest(prompt.strip().lower()))  # noqa: S311 - paint, not secrets
    details = {name for name, words in DETAILS.items() if wanted.has(words) and not unwanted.has(words)}
    lands = {name for name, words in LANDS.items() if wanted.has(words) and not unwanted.has(words)}
    if not lands:
        lands = set(mood.choice([("mountain", "lake"), ("hills",), ("mountain",), ("sea",), ("meadow", "hills")]))
    hour = wanted.first(HOURS) or next((_IMPLIED_HOUR[d] for d in sorted(details) if d in _IMPLIED_HOUR), None)
    season = wanted.first(SEASONS)
    tint = random.Random(_digest(f"{model}\n{negative}"))  # noqa: S311 - paint, not secrets
    return Scene(
        hour=hour or mood.choice(["dawn", "day", "golden", "golden", "sunset", "sunset", "night"]),
        season=season or mood.choice(["spring", "summer", "summer", "autumn"]),
        lands=frozenset(lands),
        details=frozenset(details),
        palette=mood.randrange(1 << 16),
        hue=mood.uniform(-14, 14) + tint.uniform(-5, 5),
        vividness=1 + 0.12 * float(np.tanh((guidance - 7) / 6)),
        composition=_digest(f"{prompt.strip().lower()}\n{seed}\n{index}"),
    )


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


class _Words:
    """The words of a text: English ones without their plural, Chinese ones as substrings."""

    def __init__(self, text: str) -> None:
        self._text = text.lower()
        self._english = {form for word in re.findall(r"[a-z]+", self._text) for form in (word, word.removesuffix("s"))}

    def has(self, words: str) -> bool:
        return any(word in self._english if word.isascii() else word in self._text for word in words.split())

    def first(self, vocabulary: dict[str, str]) -> str | None:
        return next((name for name, words in vocabulary.items() if self.has(words)), None)
