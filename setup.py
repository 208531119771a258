"""Installs tf_mmdvlae: `pip install .`, and `pip install '.[cuda]'` for TensorFlow on a GPU."""

import pathlib
import re

from setuptools import find_packages, setup

ROOT = pathlib.Path(__file__).parent
PACKAGE = ROOT / "tf_mmdvlae"
VERSION = re.search(r'__version__ = "(.*)"', (PACKAGE / "__init__.py").read_text()).group(1)
# Without benchmark, which runs from a checkout only.
COMMANDS = sorted(path.stem for path in (PACKAGE / "cli").glob("*.py"))
COMMANDS = [command for command in COMMANDS if (ROOT / "bin" / command).exists()]
# mtcnn names TensorFlow only in an extra of its own.
ALIGN = ["mtcnn>=1.0,<1.1", "joblib>=1.4.2,<2", "lz4>=4.3.3,<5"]
TFLITE = ["ai-edge-litert>=2.1,<3"]
VIDEO = ["imageio-ffmpeg>=0.5,<0.7"]
HUB = ["huggingface_hub>=1.1.2,<3"]
ONNX = ["tf2onnx>=1.16.1,<2", "onnxruntime>=1.20,<2"]

setup(
    name="tf_mmdvlae",
    version=VERSION,
    description="Variational ladder autoencoders trained with maximum mean discrepancy",
    long_description=(ROOT / "README.md").read_text(),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.11,<3.14",
    packages=find_packages(include=["tf_mmdvlae", "tf_mmdvlae.*"]),
    package_data={
        "tf_mmdvlae": ["py.typed"],
        "tf_mmdvlae.evaluation.report": ["templates/*.html"],
        "tf_mmdvlae.explorer": ["*.txt", "page/*"],
        "tf_mmdvlae.serving": ["*.md"],
    },
    install_requires=[
        "absl-py>=2.1,<3",
        # TFDS 4.9 imports it when a data set is prepared and does not declare it.
        "importlib_resources>=6.4",
        "jinja2>=3.1,<4",
        "keras>=3.13,<3.16",
        "matplotlib>=3.9,<4",
        "numpy>=2.1,<3",
        "pillow>=11,<14",
        "psutil>=6,<8",
        "scikit-learn>=1.6,<2",
        "scipy>=1.14,<2",
        "tensorboard>=2.19,<2.22",
        "tensorflow>=2.20,<2.22",
        "tensorflow-datasets>=4.9.9,<4.10",
        # The protocol buffers of the warm-up requests.
        "tensorflow-serving-api>=2.20,<2.22",
        "threadpoolctl>=3.5,<4",
        "tqdm>=4.66,<5",
    ],
    extras_require={
        # What bin/benchmark --training is compared with. PyTorch's wheels for processors alone are
        # smaller: pip install --extra-index-url https://download.pytorch.org/whl/cpu '.[benchmark]'
        "benchmark": ["pythae>=0.1.2,<0.2", "torch>=2.13,<3"],
        # What `make browser` drives a real browser by.
        "browser": ["playwright>=1.55,<2"],
        "align": ALIGN,
        "cuda": ["tensorflow[and-cuda]>=2.20,<2.22"],
        "hub": HUB,
        "tflite": TFLITE,
        "notebooks": ["ipykernel>=6.29,<8", "ipywidgets>=8.1,<9", "nbclient>=0.10,<0.12"],
        "onnx": ONNX,
        "video": VIDEO,
        # What bin/explore --out needs.
        "explore": ONNX,
        "docs": [
            # conf.py draws equations by its converter to MathML.
            "docutils>=0.22,<0.23",
            "furo>=2025.12.19,<2026",
            "myst-parser>=5,<6",
            "sphinx>=9.0.4,<9.1",
        ],
        "test": [
            "mypy>=2.4,<3",
            "pytest>=8.3,<10",
            "pytest-xdist>=3.7,<4",
            "pyyaml>=6,<7",
            "ruff==0.17.6",
            *ALIGN,
            *HUB,
            *TFLITE,
            *ONNX,
            *VIDEO,
        ],
    },
    entry_points={
        "console_scripts": [
            f"mmdvlae-{command} = tf_mmdvlae.cli.{command}:main" for command in COMMANDS
        ]
    },
)
